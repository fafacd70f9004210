/** Each system call on the way to an answer fails once: never acknowledged, never half there, reading goes on. */
import { expect, test } from 'vitest'
import { inject, type Injection } from './injection.ts'
import { things } from './one-thing.ts'
import { campaignSeed, isLong, randomOf } from './random.ts'
import { noTracing } from './syscall-trace.ts'

const reason = noTracing()
const told = reason === undefined ? '' : ` (skipped: ${reason})`
const seed = campaignSeed()

const syncs = 'fsync,fdatasync'
const names = 'link,linkat,rename,renameat,renameat2,mkdir,unlink,openat,setxattr,lsetxattr,ftruncate,fchmod'
const writes = 'pwrite64,pwritev,writev'
/** What may fail, how, and how often a thing does it at most. */
const kinds: { calls: string; error: string; most: number }[] = [
  { calls: syncs, error: 'EIO', most: 12 },
  { calls: names, error: 'EIO', most: 40 },
  { calls: writes, error: 'EIO', most: 12 },
  { calls: writes, error: 'ENOSPC', most: 12 },
  { calls: names, error: 'ENOSPC', most: 40 },
  { calls: syncs, error: 'ENOSPC', most: 12 },
  { calls: writes, error: 'EDQUOT', most: 12 },
]

async function judged(injection: Injection): Promise<{ isHit: boolean; wrong: string[] }> {
  const { report, isHit, call, wrong } = await inject(injection)
  const { thing, error, calls, at } = injection
  const found = [...wrong]
  const isDead = report.error === 'died' || report.afterwards === 'died'
  if (isHit && !isDead) {
    const isDatabase = thing === 'commit a fact' || thing === 'migrate'
    const isSync = /f(data)?sync\(/.test(call)
    if (isSync && report.isAcknowledged && !isDatabase) found.push('it was acknowledged')
    if (isSync && error === 'EIO' && !isDatabase && report.afterwards !== 'storage.read_only 503')
      found.push(`then ${report.afterwards}`)
    if (error !== 'EIO' && report.afterwards !== 'stored') found.push(`then ${report.afterwards}`)
    // Who asks for the identity of a process gets it, or the machine is beyond help.
    const isSaid =
      report.error === undefined || isDatabase || /"\/proc\/\d+\//.test(call) || wordsFor(error).includes(report.error)
    if (!isSaid) found.push(`it said ${report.error}`)
  }
  if (!isDead && report.isReadable !== 'yes') found.push(`reading: ${report.isReadable}`)
  return { isHit, wrong: found.map((one) => `${thing}, ${calls.slice(0, 12)} ${at} ${error} [${call.trim()}]: ${one}`) }
}

function wordsFor(error: string): string[] {
  return error === 'EIO' ? ['storage.device_failed 500', 'storage.read_only 503'] : ['storage.insufficient_storage 507']
}

/** Every step of every thing. */
async function campaign(): Promise<{ faults: number; wrong: string[] }> {
  const tally = { faults: 0, wrong: [] as string[] }
  for (const thing of things) {
    for (const { calls, error, most } of kinds) {
      for (let at = 1; at <= most; at += 1) {
        const { isHit, wrong } = await judged({ thing, calls, error, at })
        tally.wrong.push(...wrong)
        if (!isHit) break
        tally.faults += 1
      }
    }
  }
  return tally
}

/** Some steps, drawn. */
async function sample(count: number): Promise<{ faults: number; wrong: string[] }> {
  const random = randomOf(seed)
  const tally = { faults: 0, wrong: [] as string[] }
  while (tally.faults < count) {
    const { calls, error, most } = random.pick(kinds)
    const { isHit, wrong } = await judged({ thing: random.pick(things), calls, error, at: 1 + random.below(most / 4) })
    tally.wrong.push(...wrong)
    if (isHit) tally.faults += 1
  }
  return tally
}

test.skipIf(reason !== undefined)(`each step fails once${told}`, { timeout: 70 * 60_000 }, async () => {
  const { faults, wrong } = isLong ? await campaign() : await sample(4)
  console.log(`campaign injection seed=${seed} faults=${faults} lost=${wrong.length}`)
  expect(wrong).toEqual([])
  expect(faults).toBeGreaterThanOrEqual(isLong ? 400 : 4)
})

test.skipIf(reason !== undefined)(`the first failed fsync of each thing${told}`, { timeout: 300_000 }, async () => {
  const wrong: string[] = []
  for (const thing of things.filter((one) => isLong || ['replace', 'delete'].includes(one)))
    wrong.push(...(await judged({ thing, calls: syncs, error: 'EIO', at: 1 })).wrong)
  expect(wrong).toEqual([])
})
