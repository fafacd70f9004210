/**
 * The keys that sign, and when. One file in the secrets folder (0600) is the whole state; every step is one durable write,
 * so that a process killed between two steps goes on where it was. What a key does follows from the clock: it is published
 * at once, signs from `signsFromMs` until its successor does, and stays published until every verifier has let go of it.
 */
import { generateKeyPairSync } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { ensureDirectory, readJsonFile, writeFileDurable } from '../../foundation/files.ts'
import { shortId } from '../../foundation/ids.ts'
import type { Clock } from '../../foundation/time.ts'
import { identityFaults } from '../errors.ts'

const hour = 3_600_000
const day = 24 * hour
/** WLCG profile 4.3.1: verifiers may live on a copy of the keys for two days, and look for new ones every six hours. */
export const publishedBeforeUseMs = 2 * day
export const keptAfterUseMs = 2 * day + 6 * hour
/** Six months, the default of the profile. */
export const signsForMs = 182 * day

const privateKeySchema = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string(),
  y: z.string(),
  d: z.string(),
})
const keySchema = z.object({
  kid: z.string(),
  createdAtMs: z.number().int(),
  /** Absent in files of before keys changed: it signs from the start. */
  signsFromMs: z.number().int().optional(),
  key: privateKeySchema,
})
const keyFileSchema = z.object({ keys: z.array(keySchema).min(1) })

export interface SigningKey {
  kid: string
  createdAtMs: number
  signsFromMs: number
  key: z.infer<typeof privateKeySchema>
}

export interface SigningKeys {
  /** Oldest first; the ones that are over are not among them. */
  list(): readonly SigningKey[]
  /** The key that signs at that moment. */
  current(): SigningKey
  /** When verifiers no longer get it; undefined: it has no successor. */
  endOf(kid: string): number | undefined
  /** Publishes the next key. With one waiting already, nothing happens. */
  rotate(): Promise<void>
  /** At once; the last key is replaced by a new one that signs at once. `false` if there is none of that id. */
  remove(kid: string): Promise<boolean>
  /** Does what the time asks for: the next key when one is due, and out with those that are over. `true` if anything changed. */
  tend(): Promise<boolean>
}

export async function openSigningKeys(directory: string, clock: Clock): Promise<SigningKeys> {
  const path = join(directory, 'signing-keys.json')
  let keys = await load()
  let writing: Promise<unknown> = Promise.resolve()

  async function load(): Promise<SigningKey[]> {
    const existing = await readJsonFile(path, keyFileSchema)
    if (existing !== undefined) {
      await refuseIfOthersMayRead(path)
      return existing.keys.map((each) => ({ ...each, signsFromMs: each.signsFromMs ?? each.createdAtMs }))
    }
    await ensureDirectory(directory, 0o700)
    const first = [freshKey(clock.nowMs(), clock.nowMs())]
    await save(first)
    return first
  }

  async function save(next: SigningKey[]): Promise<void> {
    await writeFileDurable(path, JSON.stringify(keyFileSchema.parse({ keys: next })), { mode: 0o600 })
  }

  /** One change at a time; memory follows the disk. */
  async function change(work: (now: number) => SigningKey[] | undefined): Promise<boolean> {
    const turn = writing.then(async () => {
      const next = work(clock.nowMs())
      if (next === undefined) return false
      await save(next)
      keys = next
      return true
    })
    writing = turn.catch(() => undefined)
    return await turn
  }

  const currentOf = (all: readonly SigningKey[], now: number): SigningKey =>
    all.filter(({ signsFromMs }) => signsFromMs <= now).at(-1) ?? all[0]!

  function endIn(all: readonly SigningKey[], kid: string): number | undefined {
    const index = all.findIndex((each) => each.kid === kid)
    const successor = all[index + 1]
    return index === -1 || successor === undefined ? undefined : successor.signsFromMs + keptAfterUseMs
  }

  const isWaiting = (all: readonly SigningKey[], now: number) => all.some(({ signsFromMs }) => signsFromMs > now)

  return {
    list: () => keys,
    current: () => currentOf(keys, clock.nowMs()),
    endOf: (kid) => endIn(keys, kid),
    async rotate() {
      await change((now) => (isWaiting(keys, now) ? undefined : [...keys, freshKey(now, now + publishedBeforeUseMs)]))
    },
    async remove(kid) {
      return await change((now) => {
        const left = keys.filter((each) => each.kid !== kid)
        if (left.length === keys.length) return undefined
        if (currentOf(keys, now).kid !== kid) return left
        // What is left has signed before or waits until verifiers know it: a new one takes over, known or not.
        return [...left, freshKey(now, now)].sort((one, other) => one.signsFromMs - other.signsFromMs)
      })
    },
    async tend() {
      return await change((now) => {
        const kept = keys.filter((each) => (endIn(keys, each.kid) ?? Infinity) > now)
        const due = currentOf(kept, now).signsFromMs + signsForMs - publishedBeforeUseMs
        const next = now >= due && !isWaiting(kept, now) ? [freshKey(now, now + publishedBeforeUseMs)] : []
        return next.length === 0 && kept.length === keys.length ? undefined : [...kept, ...next]
      })
    },
  }
}

function freshKey(createdAtMs: number, signsFromMs: number): SigningKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = `${new Date(createdAtMs).toISOString().slice(0, 10)}-${shortId(6)}`
  return { kid, createdAtMs, signsFromMs, key: privateKeySchema.parse(privateKey.export({ format: 'jwk' })) }
}

async function refuseIfOthersMayRead(path: string): Promise<void> {
  const { mode } = await stat(path)
  if ((mode & 0o077) === 0) return
  throw identityFaults.insecureSecrets(`${path} can be read by others.`, {
    hint: `chmod 600 ${path}, then make new keys.`,
  })
}
