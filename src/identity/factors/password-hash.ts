/**
 * Argon2id (RFC 9106) with 47 MiB, two passes, one lane: about 100 ms of one core. Two at a time and a short queue, so that
 * signing in cannot be made the way to exhaust the machine.
 */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { identityFaults } from '../errors.ts'

const derive = promisify(argon2)
const cost = { memory: 47 * 1024, passes: 2, parallelism: 1 }
const tagBytes = 32
const saltBytes = 16

export interface PasswordHasher {
  /** @throws Fault identity.sign_in_busy */
  hash(password: string): Promise<string>
  /** With `undefined`, for a person without password, the same work is done and the answer is no. */
  matches(password: string, hash: string | undefined): Promise<boolean>
}

export function createPasswordHasher({ atOnce = 2, waiting = 32 } = {}): PasswordHasher {
  const queue: (() => void)[] = []
  let running = 0

  async function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (running >= atOnce) {
      if (queue.length >= waiting)
        throw identityFaults.signInBusy('Too many passwords are being checked at once.', {
          hint: 'Try again in a few seconds; a passkey works meanwhile.',
        })
      await new Promise<void>((turn) => queue.push(turn))
    } else running += 1
    try {
      return await work()
    } finally {
      const next = queue.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }

  const tagOf = (password: string, nonce: Uint8Array, { memory, passes, parallelism }: typeof cost) =>
    inTurn(() => derive('argon2id', { message: password, nonce, memory, passes, parallelism, tagLength: tagBytes }))

  return {
    async hash(password) {
      const salt = randomBytes(saltBytes)
      const tag = await tagOf(sameForm(password), salt, cost)
      const parameters = `m=${cost.memory},t=${cost.passes},p=${cost.parallelism}`
      return `$argon2id$v=19$${parameters}$${plainBase64(salt)}$${plainBase64(tag)}`
    },
    async matches(password, hash) {
      const kept = hash === undefined ? undefined : parse(hash)
      const tag = await tagOf(sameForm(password), kept?.salt ?? randomBytes(saltBytes), kept?.cost ?? cost)
      return kept !== undefined && tag.length === kept.tag.length && timingSafeEqual(tag, kept.tag)
    },
  }
}

/** However a keyboard composes its letters, the password is the same (NFKC). */
function sameForm(password: string): string {
  return password.normalize('NFKC')
}

function parse(hash: string): { cost: typeof cost; salt: Uint8Array; tag: Uint8Array } | undefined {
  const found = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(hash)
  if (found === null) return undefined
  const [, memory, passes, parallelism, salt, tag] = found
  return {
    cost: { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) },
    salt: Buffer.from(salt!, 'base64'),
    tag: Buffer.from(tag!, 'base64'),
  }
}

function plainBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '')
}
