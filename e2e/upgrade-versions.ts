/** Other versions of the program, made from this checkout: a higher number, and what shall be different about them. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn, spawnSync } from 'node:child_process'
import { checkout, type Finished } from './platform.ts'

export interface OtherVersion {
  folder: string
  /** Runs a command of that version's checkout. */
  run(argv: string[], environment?: NodeJS.ProcessEnv): Promise<Finished>
}

type Change = (path: (file: string) => string) => void

/** Its packages are this checkout's. */
export function otherVersion(version: string, ...changes: Change[]): OtherVersion {
  const folder = mkdtempSync(join(tmpdir(), `cygnet-${version}-`))
  mkdirSync(join(folder, 'build'))
  // The sources may be edited while the test runs.
  cpSync(join(checkout, 'src'), join(folder, 'src'), { recursive: true })
  for (const name of ['python', 'packaging', 'build/web', 'package-lock.json', 'LICENSE'])
    linkTree(join(checkout, name), join(folder, name))
  symlinkSync(join(checkout, 'node_modules'), join(folder, 'node_modules'))
  const manifest = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as object
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, version }))
  for (const change of changes) change((file) => join(folder, file))
  return { folder, run: (argv, environment) => run(join(folder, 'src', 'shell', 'cli.ts'), argv, environment) }
}

/** Hard links where the file system allows it. */
function linkTree(source: string, target: string): void {
  if (spawnSync('cp', ['-al', source, target]).status !== 0) cpSync(source, target, { recursive: true, force: true })
}

/** A migration more than the versions before it. */
export function withMigration(table: string): Change {
  return (path) => {
    const file = path('src/shell/room-migrations.ts')
    const source = readFileSync(file, 'utf8')
    const migration = `{ up: async (database) => { await database.schema.createTable('${table}').addColumn('id', 'text').execute() } }`
    const room = `{ room: '${table.replaceAll('_', '-')}', migrations: { '0001-made': ${migration} } },`
    writeFileSync(file, source.replace(/\]\s*$/, `  ${room}\n]\n`))
  }
}

/** Opens everything, migrates the database, and dies before it serves. */
export const brokenControl: Change = (path) => {
  const file = path('src/shell/control.ts')
  const source = readFileSync(file, 'utf8')
  const broken = source.replace(/^await platform\.app\.listen.*$/m, "throw new Error('broken on purpose')")
  if (broken === source) throw new Error('control.ts is not as this test knows it')
  writeFileSync(file, broken)
}

async function run(commandLine: string, argv: string[], environment: NodeJS.ProcessEnv = {}): Promise<Finished> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', commandLine, ...argv], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (said.stdout += String(chunk)))
  child.stderr.on('data', (chunk: Buffer) => (said.stderr += String(chunk)))
  const code = await new Promise<number | null>((done) => child.once('close', done))
  return { code, ...said }
}
