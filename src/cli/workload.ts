/** Reads workloads from files, with limits before anything is read. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { fileError, UserError } from '../user_error.ts'
import { LIMITS } from '../workload/lex.ts'
import { parseWorkload } from '../workload/parse.ts'
import type { Program } from '../workload/program.ts'

/** The workloads that come with mmtop: beside the bundle's folder, or that of its chunks. */
export function bundledWorkload(name: string): URL {
  const places = ['../workloads', '../../workloads'].map(folder => new URL(`${folder}/${name}.workload`, import.meta.url))
  return places.find(place => existsSync(place)) ?? places[0]
}

/** The file that a user means: the one of that name, or the workload that comes with mmtop under it. */
export function workloadNamed(target: string): string {
  if (!/^[\w-]{1,64}$/.test(target) || existsSync(target)) return target
  const bundled = bundledWorkload(target)
  return existsSync(bundled) ? fileURLToPath(bundled) : target
}

/**
 * @param target a file's name, or undefined for the bundled tour
 * @throws UserError with file, line and column
 */
export function readWorkload(target: string | undefined): Program {
  const file = target ?? 'tour.workload'
  const path = target ?? bundledWorkload('tour')
  try {
    const { size } = statSync(path)
    if (size > LIMITS.fileChars) throw new UserError(`a workload of ${size} bytes is too large: at most ${LIMITS.fileChars}`, { file })
    return parseWorkload(readFileSync(path, 'utf8'), file)
  } catch (error) {
    throw fileError(error, file, 'read')
  }
}
