/**
 * How large a page of the watched machine is. Figures in pages are shown as memory, and a page is 4 KiB on most machines, but 16 or
 * 64 KiB on some of arm64, ppc64 and loong64. A process watches one machine, so that is set once, when the machine is opened.
 */
let pageBytes = 4096

/** @param bytes of a page of the machine that is shown from now on */
export function pagesAre(bytes: number): void {
  pageBytes = bytes
}

export const bytesOfPages = (pages: number): number => pages * pageBytes
