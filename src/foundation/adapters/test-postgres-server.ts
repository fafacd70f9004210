/** For tests: a PostgreSQL server of one's own, with fsync, to be stopped, killed and started again under its clients. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { postgresBinaries, serverUser } from './test-postgres.ts'

export interface PostgresServer {
  /** Of a new database in it, for the user 'cygnet', who needs this password. */
  url: string
  passwordFile: string
  password: string
  /** 'immediate' = as after a crash: every connection is cut, the log is replayed at the start. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  start(): Promise<void>
  /** SQL as the superuser. */
  ask(sql: string, database?: string): Promise<Record<string, unknown>[]>
  [Symbol.asyncDispose](): Promise<void>
}

export async function startPostgresServer(): Promise<PostgresServer> {
  const bin = postgresBinaries()!
  const user = await serverUser()
  const folder = await mkdtemp(join(tmpdir(), 'cygnet-postgres-'))
  if (user !== undefined) await chown(folder, user.uid, user.gid)
  const run = async (program: string, ...argv: string[]) => {
    // Its output goes nowhere: the server keeps what it was given, and a pipe would then never end.
    const child = spawn(join(bin, program), argv, { ...user, cwd: folder, stdio: 'ignore' })
    const [code] = (await once(child, 'exit')) as [number | null]
    if (code !== 0) throw new Error(`${program} ${argv.join(' ')} ended with code ${code}; see ${folder}/log`)
  }
  const data = join(folder, 'data')
  await run('initdb', '-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '--encoding=UTF8', '--locale=C')
  const rules = 'local all postgres trust\nlocal all all scram-sha-256\n'
  await writeFile(join(data, 'pg_hba.conf'), rules)
  const options = `-k ${folder} -c listen_addresses= -c max_connections=60 -c shared_buffers=32MB`
  const address = (user_: string, database: string) =>
    `postgres://${user_}@/${database}?host=${encodeURIComponent(folder)}`
  const ask: PostgresServer['ask'] = async (sql, database = 'postgres') => {
    const client = new pg.Client({ connectionString: address('postgres', database) })
    await client.connect()
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows
    } finally {
      await client.end()
    }
  }
  const start = () => run('pg_ctl', '-D', data, '-l', join(folder, 'log'), '-w', '-o', options, 'start')
  const stop: PostgresServer['stop'] = (mode = 'fast') => run('pg_ctl', '-D', data, '-m', mode, '-w', 'stop')
  await start()
  const password = `canary-${folder.slice(-6)}`
  await ask(`create role cygnet login password '${password}'`)
  await ask('create database cygnet owner cygnet')
  const secrets = join(folder, 'secrets')
  await mkdir(secrets)
  const passwordFile = join(secrets, 'password')
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
  return {
    url: address('cygnet', 'cygnet'),
    passwordFile,
    password,
    stop,
    start,
    ask,
    async [Symbol.asyncDispose]() {
      await stop('immediate').catch(() => {})
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
