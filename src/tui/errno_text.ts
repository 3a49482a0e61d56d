/** What an errno name means, in the words of errno(3), and what a source answers. */
import type { Answer } from '../sample/source.ts'

const MEANINGS: Readonly<Record<string, string>> = {
  EPERM: 'operation not permitted',
  ENOENT: 'no such file',
  ESRCH: 'no such process',
  EINTR: 'interrupted',
  EIO: 'input/output error',
  ENXIO: 'no such device or address',
  E2BIG: 'argument list too long',
  EBADF: 'bad file descriptor',
  ECHILD: 'no child processes',
  EAGAIN: 'temporarily unavailable',
  ENOMEM: 'not enough memory',
  EACCES: 'permission denied',
  EFAULT: 'bad address',
  EBUSY: 'busy',
  EEXIST: 'file exists',
  ENODEV: 'no such device',
  ENOTBLK: 'no block device',
  ENOTDIR: 'not a directory',
  EISDIR: 'is a directory',
  EINVAL: 'invalid argument',
  ENFILE: 'too many open files in the system',
  EMFILE: 'too many open files',
  ETXTBSY: 'text file busy',
  EFBIG: 'file too large',
  ENOSPC: 'no space left',
  ESPIPE: 'invalid seek',
  EROFS: 'read-only file system',
  EDOM: 'argument out of domain',
  ERANGE: 'result too large',
  ENAMETOOLONG: 'name too long',
  ENOSYS: 'not implemented',
  ENOTEMPTY: 'directory not empty',
  EOVERFLOW: 'value too large for its type',
  EOPNOTSUPP: 'operation not supported',
  ETIMEDOUT: 'timed out',
  EHWPOISON: 'memory page has a hardware error',
}

/** "EINVAL (invalid argument)" */
export function errnoText(errno: string): string {
  const meaning = MEANINGS[errno]
  return meaning === undefined ? errno : `${errno} (${meaning})`
}

/** What became of a workload line; the source may or may not have said the line and the errno itself. */
export function answerText(line: string, { errno, text }: Answer): string {
  if (text === '') return errno === '' ? `${line}: done` : `${line} = ${errnoText(errno)}`
  const said = text.startsWith(line) ? text : `${line}: ${text}`
  if (errno === '') return said
  return said.includes(errno) ? said.replace(errno, errnoText(errno)) : `${said}, ${errnoText(errno)}`
}
