/**
 * The support bundle: what somebody far away needs to understand a platform in trouble, and no secret. What is taken is
 * named one by one; every text then loses what is known to be secret here, in every spelling it could have got into a log.
 */
import { mkdir, mkdtemp, open, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { release, tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { readJsonFile } from '../../foundation/files.ts'
import type { Finding } from '../../foundation/findings.ts'
import { runCommand } from '../../foundation/processes.ts'
import { programVersion } from '../../foundation/version.ts'
import { shellFaults } from '../errors.ts'
import type { Home } from '../home.ts'

export interface SupportParts {
  home: Home
  /** `cygnet doctor`. */
  findings: Finding[]
  /** The status of a running platform, or why there is none. */
  status: unknown
  /** The effective settings without secrets, as YAML. */
  settings: string
  out: string
}

/** Of each log, from its end. */
const logBytes = 8 * 1024 * 1024
/** Shorter values are words, and hiding them would make a log unreadable. */
const shortestSecret = 12

/** Writes the bundle, 0600, and answers its path and what is in it. */
export async function writeSupportBundle(parts: SupportParts): Promise<{ path: string; files: string[] }> {
  const { home, out } = parts
  const hide = await secretHider(home)
  const stage = await mkdtemp(join(tmpdir(), 'cygnet-support-'))
  const name = basename(out).replace(/\.tar\.gz$/, '')
  const folder = join(stage, name)
  const files: string[] = []
  const add = async (file: string, text: string): Promise<void> => {
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await writeFile(join(folder, file), hide(text))
    files.push(file)
  }
  try {
    await add(
      'about.json',
      pretty({ version: programVersion(), node: process.version, kernel: release(), madeAt: new Date().toISOString() }),
    )
    await add('findings.json', pretty(parts.findings))
    await add('status.json', pretty(parts.status))
    await add('settings.yaml', parts.settings)
    await add('home.txt', await listingOf(home))
    for (const record of ['release.json', 'addresses.json']) {
      const text = await readFile(join(home.run, record), 'utf8').catch(() => undefined)
      if (text !== undefined) await add(`run/${record}`, text)
    }
    for (const log of (await readdir(home.logs).catch(() => [])).sort())
      await add(`logs/${log}`, await endOf(join(home.logs, log)))
    const { code, stderr } = await runCommand(['tar', '-C', stage, '-czf', `${out}.unfinished`, name], {
      timeoutMs: 300_000,
    })
    if (code !== 0) throw shellFaults.bundleFailed(`tar ended with ${code}: ${stderr.trim()}`)
    await rename(`${out}.unfinished`, out)
    return { path: out, files }
  } finally {
    await rm(`${out}.unfinished`, { force: true })
    await rm(stage, { recursive: true, force: true })
  }
}

/** Hides what this home knows as secret, and what looks like one wherever it comes from. */
export async function secretHider(home: Home): Promise<(text: string) => string> {
  const known = new Set<string>()
  for (const name of await readdir(home.secrets).catch(() => [])) {
    const bytes = await readFile(join(home.secrets, name)).catch(() => undefined)
    if (bytes === undefined) continue
    for (const spelling of [
      bytes.toString('utf8').trim(),
      bytes.toString('hex'),
      bytes.toString('base64'),
      bytes.toString('base64url'),
    ])
      known.add(spelling)
  }
  const snapshot = await readJsonFile<{
    identity?: { accessKeys?: Record<string, { secret: string }>; contentCookieKey?: string }
  }>(home.snapshot).catch(() => undefined)
  for (const { secret } of Object.values(snapshot?.identity?.accessKeys ?? {})) known.add(secret)
  if (snapshot?.identity?.contentCookieKey !== undefined) known.add(snapshot.identity.contentCookieKey)
  const long = [...known].filter((value) => value.length >= shortestSecret)
  return (text) => {
    let shown = text
    for (const value of long) shown = shown.replaceAll(value, '(hidden)')
    return shown
      .replace(/eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*)?/g, '(hidden token)')
      .replace(/([?&#](?:code|token|ticket|X-Amz-Signature|X-Amz-Security-Token)=)[^&\s"']+/gi, '$1(hidden)')
      .replace(/(:\/\/[^:/@\s]*:)[^@\s/]+@/g, '$1(hidden)@')
      .replace(/(bearer|basic) [A-Za-z0-9+/=._~-]{12,}/gi, '$1 (hidden)')
  }
}

const pretty = (value: unknown): string => `${JSON.stringify(value, undefined, 2)}\n`

/** Owner, mode and size of what lies in the home, two folders deep; of people's files only how many there are. */
async function listingOf(home: Home): Promise<string> {
  const lines: string[] = []
  const closed = new Set([home.data, home.homes, home.jobs].map((path) => basename(path)))
  for (const name of (await readdir(home.folder).catch(() => [])).sort()) {
    const path = join(home.folder, name)
    lines.push(await lineOf(path, name))
    const inner = await readdir(path).catch(() => [])
    if (closed.has(name)) lines.push(`    ${inner.length} entries`)
    else for (const each of inner.sort()) lines.push(await lineOf(join(path, each), `${name}/${each}`))
  }
  return `${lines.join('\n')}\n`
}

async function lineOf(path: string, name: string): Promise<string> {
  const facts = await stat(path).catch(() => undefined)
  if (facts === undefined) return `?  ${name}`
  return `${(facts.mode & 0o7777).toString(8).padStart(4)} ${facts.uid}:${facts.gid} ${facts.size} ${name}`
}

async function endOf(path: string): Promise<string> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const bytes = Buffer.alloc(Math.min(size, logBytes))
    await handle.read(bytes, 0, bytes.length, Math.max(0, size - logBytes))
    const text = bytes.toString('utf8')
    // A first line that was cut could hide the half of a secret.
    return size > logBytes ? text.slice(text.indexOf('\n') + 1) : text
  } finally {
    await handle.close()
  }
}
