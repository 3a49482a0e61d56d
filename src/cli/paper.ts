/** `mmtop completion`, `mmtop man`, `mmtop schema`: what is made from the tables of options, keys and columns. */
import type { Command } from 'commander'
import { configSchema } from '../tui/config.ts'
import { snapshotSchema } from '../view/headless/schema.ts'
import { completion, SHELLS } from './completion.ts'
import { EXIT, print } from './exit.ts'
import { manPage } from './man.ts'

export async function printCompletion(program: Command, name: string): Promise<number> {
  const shell = SHELLS.find(each => each === name) ?? 'bash'
  await print(completion(program, shell))
  return EXIT.asked
}

export async function printManPage(program: Command, version: string): Promise<number> {
  await print(manPage(program, version))
  return EXIT.asked
}

export async function printSchema(name: string): Promise<number> {
  await print(`${JSON.stringify(name === 'config' ? configSchema() : snapshotSchema(), null, 2)}\n`)
  return EXIT.asked
}
