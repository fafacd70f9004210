/**
 * `cygnet daq check`: everything the agent will need on this DAQ machine, looked at once, before data taking: folder,
 * key, network, proxy, certificates, clock. Changes nothing, here or on the platform. (`packaging/check-host.sh` comes
 * before it, where it is not sure that Node.js itself starts.)
 */
import { access, constants, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../../foundation/errors.ts'
import { freeBytes, networkFileSystemOf } from '../../foundation/files.ts'
import type { Finding } from '../../foundation/findings.ts'
import { midasRunFormat } from '../adapters/midas-run-format.ts'
import { readKeyFile, type AgentKey } from './key-file.ts'
import { connectPlatform } from './platform.ts'
import { createS3Client } from './s3-client.ts'

export interface HostCheck {
  directory: string
  experiment: string
  setup: string
  series: string
  serverUrl: string
  keyFile: string
  s3Url?: string | undefined
}

/** The signature of a request is refused when the clocks differ by more than 15 minutes. */
const mostSkewMs = 15 * 60_000
const noticedSkewMs = 30_000
const answerWithinMs = 10_000
const comfortableBytes = 20e9

/** Looks at all of it, whatever fails on the way. */
export async function checkHost(check: HostCheck): Promise<Finding[]> {
  const local = await Promise.all([checkFolder(check), checkNames(check), checkWatches()])
  const key = await readKeyFile(check.keyFile).catch((error: unknown) => error as Fault)
  const network = await checkServer(check)
  const keyed = key instanceof Fault ? [bad('key file', key)] : await checkKey(check, key, network.isThere)
  return [...local.flat(), proxyFinding(check), ...network.findings, ...keyed]
}

const good = (what: string, detail: string): Finding => ({ what, verdict: 'good', detail, hint: '' })
const bad = (what: string, { detail, hint }: { detail: string; hint?: string | undefined }): Finding => ({
  what,
  verdict: 'bad',
  detail,
  hint: hint ?? '',
})

async function checkFolder({ directory }: HostCheck): Promise<Finding[]> {
  try {
    if (!(await stat(directory)).isDirectory()) throw new Error('it is not a folder')
    await access(directory, constants.R_OK | constants.X_OK)
  } catch (error) {
    const hint = 'Give the folder into which the DAQ writes its run files, with --dir.'
    return [bad('folder', { detail: `${directory}: ${(error as Error).message}`, hint })]
  }
  const findings = [good('folder', directory)]
  // The journal of what is safe lies in a hidden folder beside the runs.
  const journal = join(directory, '.cygnet')
  const writable = (await isWritable(journal)) ?? (await isWritable(directory)) ?? false
  if (!writable)
    findings.push(
      bad('journal', {
        detail: `this user may not write in ${directory}`,
        hint: `Run the agent as the user of the DAQ, or make the folder for it: mkdir ${journal} and give it to the agent's user.`,
      }),
    )
  const network = await networkFileSystemOf(directory)
  if (network !== undefined)
    findings.push({
      what: 'disk',
      verdict: 'warning',
      detail: `${directory} is on ${network}`,
      hint: 'New files are then found by looking every second, and data taking hangs when that server does.',
    })
  const free = await freeBytes(directory)
  findings.push({
    what: 'room',
    verdict: free > comfortableBytes ? 'good' : 'warning',
    detail: `${(free / 1e9).toFixed(1)} GB free`,
    hint:
      free > comfortableBytes
        ? ''
        : 'A day of data taking is 70 GB at the median: this is how long the network may be away.',
  })
  return findings
}

/** Undefined when the path is not there. */
async function isWritable(path: string): Promise<boolean | undefined> {
  try {
    await access(path, constants.W_OK | constants.X_OK)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : false
  }
}

async function checkNames({ directory, setup, series }: HostCheck): Promise<Finding[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => [])
  const names = entries.filter((entry) => entry.isFile() && !entry.name.startsWith('.')).map((entry) => entry.name)
  if (names.length === 0) return [good('run files', 'none yet')]
  const format = midasRunFormat()
  const others = names.filter((name) => format.match(`${setup}/${series}/${name}`) === undefined)
  const detail = `${names.length - others.length} of ${names.length} files are named like runs`
  if (others.length < names.length) return [good('run files', detail)]
  const hint = `Expected are names such as run00012.mid or run00012.mid.gz; here is for example ${others[0]}.`
  return [{ what: 'run files', verdict: 'warning', detail, hint }]
}

async function checkWatches(): Promise<Finding[]> {
  const text = await readFile('/proc/sys/fs/inotify/max_user_instances', 'utf8').catch(() => '')
  if (text === '' || Number(text) >= 16) return []
  const hint = 'Without them new files are found by looking every second: sysctl fs.inotify.max_user_instances=128'
  return [{ what: 'inotify', verdict: 'warning', detail: `${text.trim()} watches per user`, hint }]
}

function proxyFinding({ serverUrl }: HostCheck): Finding {
  const { HTTPS_PROXY, https_proxy, HTTP_PROXY, http_proxy, NODE_USE_ENV_PROXY } = process.env
  const secure = serverUrl.startsWith('https:')
  const proxy = secure ? (https_proxy ?? HTTPS_PROXY) : (http_proxy ?? HTTP_PROXY)
  if (proxy === undefined || proxy === '') return good('proxy', 'none')
  if (NODE_USE_ENV_PROXY !== '1')
    return {
      what: 'proxy',
      verdict: 'warning',
      detail: `${withoutPassword(proxy)} is not used`,
      hint: 'Start the agent by its command (bin/cygnet), which tells Node.js to use it, or set NODE_USE_ENV_PROXY=1.',
    }
  return good('proxy', withoutPassword(proxy))
}

function withoutPassword(proxy: string): string {
  return proxy.replace(/\/\/[^@/]*@/, '//…@')
}

async function checkServer({ serverUrl }: HostCheck): Promise<{ isThere: boolean; findings: Finding[] }> {
  const sentMs = Date.now()
  try {
    const answer = await fetch(new URL('/api/health', serverUrl), { signal: AbortSignal.timeout(answerWithinMs) })
    const receivedMs = Date.now()
    const health = (await answer.json()) as { version?: string; nowMs?: number }
    if (!answer.ok || health.nowMs === undefined) throw new Error(`it answered ${answer.status}, not as Cygnet does`)
    const skewMs = health.nowMs - (sentMs + receivedMs) / 2
    const findings = [good('server', `${serverUrl}, Cygnet ${health.version}, ${receivedMs - sentMs} ms away`)]
    return { isThere: true, findings: [...findings, clockFinding(skewMs)] }
  } catch (error) {
    return { isThere: false, findings: [bad('server', whyUnreachable(serverUrl, error))] }
  }
}

function clockFinding(skewMs: number): Finding {
  const seconds = Math.abs(Math.round(skewMs / 1000))
  const verdict = seconds * 1000 > mostSkewMs ? 'bad' : seconds * 1000 > noticedSkewMs ? 'warning' : 'good'
  const detail = seconds === 0 ? 'as the server' : `${seconds} s ${skewMs > 0 ? 'behind' : 'ahead of'} the server`
  const hint =
    verdict === 'good'
      ? ''
      : 'Set the clock (chrony, ntpd): times of runs are wrong, and beyond 15 minutes every upload is refused.'
  return { what: 'clock', verdict, detail, hint }
}

/** What stands behind "fetch failed", in words. */
function whyUnreachable(serverUrl: string, error: unknown): { detail: string; hint: string } {
  const cause = (error as { cause?: NodeJS.ErrnoException }).cause
  const code = cause?.code ?? ''
  const detail = `${serverUrl}: ${cause?.message ?? (error as Error).message}`
  if (/CERT|SELF_SIGNED|ISSUER|VERIFY/.test(code))
    return {
      detail,
      hint: 'The certificate is not from an authority this machine trusts: give the file of your institute with CYGNET_CA_FILE=/path/ca.pem.',
    }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return { detail, hint: 'The name is not known here: check /etc/resolv.conf and the spelling.' }
  if (code === 'ECONNREFUSED')
    return {
      detail,
      hint: 'The machine answers, but nothing listens there: is the platform running, is the port right?',
    }
  return {
    detail,
    hint: 'Check network, firewall and, where the network needs one, HTTPS_PROXY. Runs stay on disk meanwhile.',
  }
}

async function checkKey(check: HostCheck, key: AgentKey, serverIsThere: boolean): Promise<Finding[]> {
  const findings = [good('key file', check.keyFile)]
  if (!serverIsThere) return findings
  const signal = AbortSignal.timeout(3 * answerWithinMs)
  const platform = connectPlatform({ serverUrl: check.serverUrl, experiment: check.experiment, key, signal })
  const probe = `${check.setup}/${check.series}/check-of-this-host`
  try {
    await platform.objectStatus(probe)
    findings.push(good('key', `may send runs of ${check.experiment}`))
  } catch (error) {
    return [...findings, bad('key', error instanceof Fault ? error : { detail: String(error) })]
  }
  return [...findings, await checkStore(check, key, probe, signal)]
}

/** A create-only key may not look; being told so is the sign that the store knows it. */
async function checkStore(check: HostCheck, key: AgentKey, probe: string, signal: AbortSignal): Promise<Finding> {
  const url = check.s3Url
  if (url === undefined) return good('store', 'its address comes from the server')
  const s3 = createS3Client({ url, region: 'cygnet', timeoutMs: answerWithinMs, ...key })
  try {
    await s3.headObject(`${check.experiment}-raw`, probe, signal)
    return good('store', url)
  } catch (error) {
    if (error instanceof Fault && error.code === 'ingest.store_refused') return good('store', url)
    return bad('store', error instanceof Fault ? error : { detail: String(error) })
  } finally {
    s3.close()
  }
}
