/**
 * A bad line between the DAQ machine and the platform: a real agent in a network namespace of its own, loss and rate by
 * the kernel, resets, silence and slowness by a proxy. No file is lost, none is there twice, the order of runs is kept.
 */
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { runCommand } from '../../foundation/processes.ts'
import { expectAllSafe, openSite, startAgent, takeRuns } from './agent-process.ts'
import { openFaultProxy } from './fault-proxy.ts'

const missing =
  process.getuid?.() !== 0
    ? 'needs root for network namespaces'
    : ['/usr/sbin/ip', '/usr/sbin/tc', '/usr/sbin/nft'].find((path) => !existsSync(path) && !existsSync(path.slice(4)))
const because = missing === undefined ? '' : ` [skipped: ${missing}; apt-get install iproute2 nftables]`
const isLong = process.env.CYGNET_LONG === 'faults'
const lossPercent = 30
const longMs = 600_000
let opened = 0

/** A namespace with one way out, to our proxies. */
async function openLine() {
  opened += 1
  const tag = `${process.pid % 10_000}${opened}`
  const [space, inner, outer] = [`cygnet-${tag}`, `cyi${tag}`, `cyo${tag}`]
  const net = `10.${77 + (opened % 100)}.${process.pid % 250}`
  const run = async (...argv: string[]): Promise<void> => {
    const { code, stderr } = await runCommand(argv)
    if (code !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`)
  }
  const inside = (...argv: string[]) => run('ip', 'netns', 'exec', space, ...argv)
  onTestFinished(async () => {
    await runCommand(['ip', 'netns', 'del', space])
    await runCommand(['ip', 'link', 'del', outer])
    await rm(`/etc/netns/${space}`, { recursive: true, force: true })
  })
  const hostsPath = `/etc/netns/${space}/hosts`
  const name = 'platform.test'
  const nameIsKnown = (known: boolean) => writeFile(hostsPath, known ? `${net}.1 ${name}\n` : '\n')
  await mkdir(`/etc/netns/${space}`, { recursive: true })
  await nameIsKnown(true)
  await run('ip', 'netns', 'add', space)
  await run('ip', 'link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', space)
  await run('ip', 'addr', 'add', `${net}.1/24`, 'dev', outer)
  await run('ip', 'link', 'set', outer, 'up')
  await inside('ip', 'addr', 'add', `${net}.2/24`, 'dev', inner)
  await inside('ip', 'link', 'set', inner, 'up')
  await inside('ip', 'link', 'set', 'lo', 'up')
  return {
    before: ['ip', 'netns', 'exec', space],
    host: `${net}.1`,
    name,
    nameIsKnown,
    /** Of 100 packets, in either direction. */
    async lose(percent: number) {
      await inside('nft', 'flush', 'ruleset')
      if (percent === 0) return
      await inside('nft', 'add', 'table', 'inet', 'bad')
      for (const hook of ['input', 'output']) {
        await inside('nft', `add chain inet bad ${hook} { type filter hook ${hook} priority 0; }`)
        await inside('nft', `add rule inet bad ${hook} numgen random mod 100 < ${percent} drop`)
      }
    },
    slow: (rate: string) =>
      inside('tc', 'qdisc', 'replace', 'dev', inner, 'root', 'tbf', 'rate', rate, 'burst', '16kb', 'latency', '400ms'),
    cut: (isCut: boolean) => run('ip', 'link', 'set', outer, isCut ? 'down' : 'up'),
  }
}

async function open() {
  const site = await openSite()
  const line = await openLine()
  const api = await openFaultProxy(Number(new URL(site.platform.serverUrl).port), line.host)
  const s3 = await openFaultProxy(Number(new URL(site.platform.s3Url).port), line.host)
  const agent = () =>
    startAgent(
      {
        directory: site.directory,
        serverUrl: `http://${line.name}:${api.port}`,
        s3Url: `http://${line.name}:${s3.port}`,
        keyFile: site.platform.keyFile,
      },
      { before: line.before },
    )
  return { site, line, api, s3, agent }
}

test.skipIf(missing !== undefined || !isLong)(
  `loss of ${lossPercent} %, a cut line, and a name that is gone [long]${because}`,
  async () => {
    const { site, line, agent } = await open()
    await line.lose(lossPercent)
    const sending = agent()
    await takeRuns(site.directory, 2)
    await sending.saw('safe', 'run00001.mid')
    await line.cut(true)
    await takeRuns(site.directory, 2)
    await sending.saw('disconnected')
    await line.lose(0)
    await line.nameIsKnown(false)
    await line.cut(false)
    await sleep(1000)
    await line.nameIsKnown(true)
    await expectAllSafe(site, sending, [1, 2, 3, 4])
  },
  longMs,
)

test.skipIf(missing !== undefined || !isLong)(
  `resets in the middle, answers lost after their effect, and slow answers [long]${because}`,
  async () => {
    const { site, api, s3, agent } = await open()
    s3.resetAfterBytes = 60_000
    const sending = agent()
    await takeRuns(site.directory, 3)
    await expect.poll(() => s3.resets, { timeout: 120_000 }).toBeGreaterThan(1)
    s3.resetAfterBytes = Infinity
    s3.resetAtAnswer = true
    const before = s3.resets
    await expect.poll(() => s3.resets, { timeout: 120_000 }).toBeGreaterThan(before)
    s3.resetAtAnswer = false
    api.delayMs = s3.delayMs = 150
    await expectAllSafe(site, sending, [1, 2, 3])
  },
  longMs,
)

test.skipIf(missing !== undefined || !isLong)(
  `half-open for longer than anybody's patience, then 1 Mbit/s; cuts of 0.1 s to 30 s [long]${because}`,
  async () => {
    const { site, line, s3, api, agent } = await open()
    let sending = agent()
    s3.silent = api.silent = true
    await takeRuns(site.directory, 2)
    await sleep(75_000)
    s3.silent = api.silent = false
    s3.cut()
    api.cut()
    await sending.saw('safe', 'run00002.mid')
    await line.slow('1mbit')
    let faults = 1
    for (const cutMs of [100, 300, 1000, 3000, 10_000, 30_000]) {
      await takeRuns(site.directory, 2)
      await line.cut(true)
      await sleep(cutMs)
      await line.cut(false)
      faults += 1
    }
    await expectAllSafe(
      site,
      sending,
      Array.from({ length: 14 }, (_one, index) => index + 1),
    )
    await sending.kill()
    // Its next life finds everything safe.
    sending = agent()
    await takeRuns(site.directory, 1)
    await expectAllSafe(site, sending, [15])
    console.log(`campaign faults of the network: faults=${faults} acknowledged=15 lost=0 doubled=0`)
  },
  longMs,
)
