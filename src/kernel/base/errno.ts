/**
 * Linux' error numbers (include/uapi/asm-generic/errno*.h). A system call returns 0 or more for success and the
 * negated number for a failure, as in the kernel.
 */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  ENOTBLK: 15,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EDOM: 33,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  EOPNOTSUPP: 95,
  ETIMEDOUT: 110,
  EOVERFLOW: 75,
  EHWPOISON: 133,
} as const

export const { EPERM, ENOENT, ESRCH, EINTR, EIO, ENXIO, E2BIG, EBADF, ECHILD, EAGAIN, ENOMEM, EACCES, EFAULT, ENOTBLK, EBUSY } = ERRNO
export const { EEXIST, ENODEV, ENOTDIR, EISDIR, EINVAL, ENFILE, EMFILE, ETXTBSY, EFBIG, ENOSPC, ESPIPE, EROFS } = ERRNO
export const { ERANGE, ENAMETOOLONG, ENOSYS, ENOTEMPTY, EOPNOTSUPP, ETIMEDOUT, EOVERFLOW, EHWPOISON } = ERRNO

/** No program ever sees it: the system call slept in the middle, and is made again when its task is woken. */
export const ERESTARTNOINTR = 513

const NAMES = new Map<number, string>(Object.entries(ERRNO).map(([name, number]) => [number, name]))

/** The name of an errno, whatever its sign; "E?" for one that is not in the table. */
export const errnoName = (errno: number) => NAMES.get(Math.abs(errno)) ?? 'E?'
