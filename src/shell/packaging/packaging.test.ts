/** What brings Cygnet to a machine and takes it away. `CYGNET_LONG=shell` makes real bundles and installs from them. */
import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { processIdentity } from '../../foundation/processes.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { makeBundle } from './bundle.ts'

const checkout = join(import.meta.dirname, '..', '..', '..')
const isLong = process.env.CYGNET_LONG === 'shell'

function cygnet(argv: string[], environment: NodeJS.ProcessEnv = {}) {
  const program = ['--disable-warning=ExperimentalWarning', join(checkout, 'src', 'shell', 'cli.ts'), ...argv]
  return new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
    const env = { ...process.env, ...environment }
    execFile(process.execPath, program, { env }, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    )
  })
}

/** A host as the check sees it: programs of our own answer for the machine (a labelled stand-in for old systems). */
async function hostThatSays(answers: Record<string, string>) {
  const { path } = await temporaryDirectory()
  const folder = join(path, 'bundle')
  await mkdir(join(folder, 'packaging'), { recursive: true })
  await mkdir(join(folder, 'program', 'bin'), { recursive: true })
  await cp(join(checkout, 'packaging', 'check-host.sh'), join(folder, 'packaging', 'check-host.sh'))
  await symlink(process.execPath, join(folder, 'program', 'bin', 'node'))
  await writeFile(join(folder, 'MACHINE'), 'x86_64\n')
  const tools = join(path, 'tools')
  await mkdir(tools)
  for (const [name, script] of Object.entries(answers))
    await writeFile(join(tools, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  const { status, stdout } = spawnSync('sh', [join(folder, 'packaging', 'check-host.sh')], {
    env: { PATH: `${tools}:/usr/bin:/bin` },
    encoding: 'utf8',
  })
  return { status, stdout }
}

const modern = {
  getconf: 'echo "glibc 2.36"',
  uname: 'case $1 in -s) echo Linux;; -m) echo x86_64;; -r) echo 6.1.0;; esac',
}

describe('an old DAQ host', () => {
  test('is told why the agent cannot run there, and what to do instead', async () => {
    const old = await hostThatSays({
      getconf: 'echo "glibc 2.17"',
      uname: 'case $1 in -s) echo Linux;; -m) echo x86_64;; -r) echo 3.10.0-1160.el7;; esac',
    })
    expect(old.status).toBe(1)
    expect(old.stdout).toMatch(/bad +glibc +2\.17, 2\.28 or later is needed/)
    expect(old.stdout).toMatch(/bad +kernel +3\.10/)
    expect(old.stdout).toMatch(/point the uploader this machine has/)
    const foreign = await hostThatSays({ ...modern, uname: modern.uname.replace('x86_64', 'i686') })
    expect(foreign.stdout).toMatch(/bad +machine +i686/)
  })

  test('a modern one may go on', async () => {
    const { status, stdout } = await hostThatSays(modern)
    expect(stdout).toMatch(/The agent runs here/)
    expect(status).toBe(0)
  })
})

describe('uninstall', () => {
  async function home() {
    const { path } = await temporaryDirectory()
    const folder = join(path, 'home')
    for (const name of ['data/demo-raw', 'database', 'secrets', 'homes/ada', 'program/1', 'run', 'jobs', 'logs'])
      await mkdir(join(folder, name), { recursive: true })
    await writeFile(join(folder, 'data/demo-raw/run00001.mid'), 'bytes')
    await writeFile(join(folder, 'database/cygnet.sqlite'), 'rows')
    return folder
  }

  test('says what would go and changes nothing; with --yes the program goes and everything of people stays', async () => {
    const folder = await home()
    const before = await readdir(folder, { recursive: true })
    const plan = await cygnet(['uninstall', '--home', folder, '--json'])
    expect(plan.code).toBe(0)
    expect((JSON.parse(plan.stdout) as { remove: string[] }).remove).toContain(join(folder, 'program'))
    expect(await readdir(folder, { recursive: true })).toEqual(before)
    const done = await cygnet(['uninstall', '--home', folder, '--yes'])
    expect(done.code).toBe(0)
    const left = await readdir(folder)
    expect(left.sort()).toEqual(['READ-ME-FIRST.txt', 'data', 'database', 'homes', 'jobs', 'logs', 'secrets'])
    expect(await readFile(join(folder, 'data/demo-raw/run00001.mid'), 'utf8')).toBe('bytes')
  })

  test('is refused while the platform or a job runs', async () => {
    const folder = await home()
    await writeFile(join(folder, 'run', 'control.process.json'), JSON.stringify(processIdentity(process.pid)))
    const refused = await cygnet(['uninstall', '--home', folder, '--yes'])
    expect(refused.code).toBe(8)
    expect(refused.stderr).toMatch(/cygnet down/)
    expect(existsSync(join(folder, 'program', '1'))).toBe(true)
  })
})

describe.skipIf(!isLong)(`bundles${isLong ? '' : ' (SKIPPED: ./cygnet test --long shell makes them)'}`, () => {
  test('the agent starts from its bundle in an empty environment', { timeout: 600_000 }, async () => {
    const { path } = await temporaryDirectory()
    const made = await makeBundle({ checkout, kind: 'agent', out: path })
    execFileSync('tar', ['-C', path, '-xzf', made.path])
    const folder = made.path.replace('.tar.gz', '')
    expect(spawnSync('sh', [join(folder, 'packaging', 'check-host.sh')]).status).toBe(0)
    const run = (...argv: string[]) =>
      spawnSync(join(folder, 'bin', 'cygnet'), argv, { env: { PATH: '/usr/bin:/bin', HOME: path }, encoding: 'utf8' })
    const daq = join(path, 'daq')
    expect(run('daq', 'simulate', '--dir', daq, '--runs', '1', '--images', '1', '--pedestal-images', '0').status).toBe(
      0,
    )
    await writeFile(join(path, 'key'), '{"accessKeyId":"CYGTEST","secretAccessKey":"s"}', { mode: 0o600 })
    const flags = ['-e', 'demo', '--setup', 'lime', '--series', 'sim', '--key-file', join(path, 'key')]
    const check = run('daq', 'check', daq, ...flags, '--server', 'http://127.0.0.1:9', '--json')
    expect(check.status).toBe(1)
    expect(JSON.parse(check.stdout)).toContainEqual(expect.objectContaining({ what: 'run files', verdict: 'good' }))
    const watch = run('daq', 'watch', daq, ...flags, '--server', 'http://127.0.0.1:9', '--once')
    expect(watch.stderr).toMatch(/TROUBLE/)
  })

  test(
    'the platform is installed and runs the whole demo where there is no network and no cache',
    { timeout: 1_800_000 },
    async () => {
      const { path } = await temporaryDirectory()
      const made = await makeBundle({ checkout, kind: 'platform', out: path })
      execFileSync('tar', ['-C', path, '-xzf', made.path])
      const folder = join(path, basename(made.path, '.tar.gz'))
      const script = `set -e
        ip link set lo up
        ./install.sh --prefix ${path}/opt --bin ${path}/bin --cache ${path}/cache
        ./install.sh --prefix ${path}/opt --bin ${path}/bin --cache ${path}/cache
        ${path}/bin/cygnet demo --once --json --home ${path}/home`
      const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: path, CYGNET_CACHE: join(path, 'cache') }
      const said = execFileSync('unshare', ['--net', 'sh', '-c', script], {
        cwd: folder,
        env: environment,
        encoding: 'utf8',
      })
      expect(said).toMatch(/"runs":3/)
    },
  )
})
