/**
 * A private PostgreSQL server for tests: real, on a UNIX socket in a temporary folder, one per process, started at
 * first use and stopped by a watcher when the process is gone, however it went.
 */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { randomToken } from '../ids.ts'
import { runCommand } from '../processes.ts'

/** The folder with initdb and postgres, newest version first; `undefined` if there is none. */
export function postgresBinaries(): string | undefined {
  const root = '/usr/lib/postgresql'
  if (!existsSync(root)) return undefined
  const versions = readdirSync(root).toSorted((one, other) => Number(other) - Number(one))
  return versions.map((version) => join(root, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')))
}

const folder = join(tmpdir(), `cygnet-test-postgres-${process.pid}`)
let server: Promise<void> | undefined

/** A new, empty database; its address. */
export async function createPostgresDatabase(): Promise<string> {
  await (server ??= startOnce())
  const name = `test_${randomToken(9).toLowerCase().replaceAll(/[-_]/g, 'x')}_${Date.now()}`
  const admin = new pg.Client({ connectionString: address('postgres') })
  await admin.connect()
  try {
    await admin.query(`create database ${name}`)
  } finally {
    await admin.end()
  }
  return address(name)
}

function address(database: string): string {
  return `postgres://postgres@/${database}?host=${encodeURIComponent(folder)}`
}

/** Threads share the process: the first one that makes the folder starts the server, the others wait for it. */
async function startOnce(): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return await untilReady()
  }
  const bin = postgresBinaries()!
  const user = await serverUser()
  if (user !== undefined) await chown(folder, user.uid, user.gid)
  const script = join(folder, 'serve.sh')
  await writeFile(script, serveScript(bin), { mode: 0o755 })
  const child = spawn('/bin/sh', [script, folder, String(process.pid)], {
    ...user,
    cwd: folder,
    detached: true,
    stdio: 'ignore',
  })
  child.unref()
  await untilReady()
}

function serveScript(bin: string): string {
  return `
exec > "$1/log" 2>&1
'${bin}/initdb' -D "$1/data" -U postgres --auth=trust --no-sync --encoding=UTF8 --locale=C >/dev/null || exit 1
'${bin}/postgres' -D "$1/data" -k "$1" -c listen_addresses= -c fsync=off -c max_connections=200 -c shared_buffers=32MB &
postgres=$!
while [ -d "/proc/$2" ] && kill -0 $postgres; do sleep 1; done
kill -INT $postgres; wait $postgres
rm -rf "$1"
`
}

/** Who runs a server: PostgreSQL refuses to run as root. */
export async function serverUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    const { code, stdout } = await runCommand(['id', '-u', name])
    if (code !== 0) continue
    const group = await runCommand(['id', '-g', name])
    return { uid: Number(stdout), gid: Number(group.stdout) }
  }
  throw new Error("there is neither a user 'postgres' nor 'nobody' to run PostgreSQL as")
}

async function untilReady(): Promise<void> {
  const deadlineMs = Date.now() + 60_000
  for (;;) {
    const client = new pg.Client({ connectionString: address('postgres') })
    try {
      await client.connect()
      await client.end()
      return
    } catch (error) {
      if (Date.now() > deadlineMs) {
        const log = await readFile(join(folder, 'log'), 'utf8').catch(() => '')
        throw new Error(`the private PostgreSQL did not start: ${log.slice(-2000)}`, { cause: error })
      }
    }
    await sleep(100)
  }
}
