/** Where the configuration file is, reading it, and writing it when that is asked for. */
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Config, DEFAULT_CONFIG, parseConfig } from '../tui/config.ts'
import { UserError } from '../user_error.ts'
import { makeDirectory, readBytes, writing } from './files.ts'

/** A file larger than this is no configuration. */
const SIZE_LIMIT = 1 << 20

/** $XDG_CONFIG_HOME/mmtop/config.json, or below ~/.config. */
function configPath(env: NodeJS.ProcessEnv): string {
  const home = env.XDG_CONFIG_HOME
  return join(home?.startsWith('/') === true ? home : join(homedir(), '.config'), 'mmtop', 'config.json')
}

/**
 * @param file a file that must be there; undefined: the usual one, if it is
 * @throws UserError with the place of what is wrong in it
 */
export function readConfig(file: string | undefined, env: NodeJS.ProcessEnv): Config {
  const path = file ?? configPath(env)
  if (file === undefined && !existsSync(path)) return DEFAULT_CONFIG
  const text = readBytes(path).toString('utf8')
  if (text.length > SIZE_LIMIT) throw new UserError('too large for a configuration', { file: path })
  return parseConfig(text, path)
}

/** Writes beside the old file and then in its place, so that it is never half there. */
export function writeConfig(file: string | undefined, env: NodeJS.ProcessEnv, text: string): string {
  const path = file ?? configPath(env)
  writing(path, () => {
    makeDirectory(dirname(path))
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  })
  return path
}
