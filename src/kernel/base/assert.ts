/** A condition that our own code guarantees. When it fails the simulator is wrong, not its input. */
export class AssertionError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'AssertionError'
  }
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}

/** For checks on hot paths, where the message must not be built unless it is needed: `if (wrong) fail(`...`)`. */
export function fail(message: string): never {
  throw new AssertionError(message)
}

/** For a value that the code before has made sure of: returns it without the undefined. */
export function must<T>(value: T | undefined, message: string): T {
  if (value === undefined) throw new AssertionError(message)
  return value
}
