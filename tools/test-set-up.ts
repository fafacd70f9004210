/**
 * What the tests need beside the lockfile: real counterparts from Debian (a browser, a database server, S3 clients) and
 * Python clients in an environment of their own. What cannot be had is named, and its tests skip themselves loudly.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

interface Counterpart {
  debianPackage: string
  isThere: () => boolean
}

const counterparts: Counterpart[] = [
  { debianPackage: 'chromium', isThere: () => isCommand('chromium') },
  {
    debianPackage: 'postgresql',
    isThere: () => existsSync('/usr/lib/postgresql') && readdirSync('/usr/lib/postgresql').length > 0,
  },
  { debianPackage: 'bubblewrap', isThere: () => isCommand('bwrap') },
  { debianPackage: 'python3-venv', isThere: () => succeeds('python3', ['-c', 'import ensurepip, venv']) },
  { debianPackage: 'rclone', isThere: () => isCommand('rclone') },
  { debianPackage: 's3cmd', isThere: () => isCommand('s3cmd') },
  { debianPackage: 'strace', isThere: () => isCommand('strace') },
  { debianPackage: 'xfsprogs', isThere: () => existsSync('/usr/sbin/mkfs.xfs') },
  { debianPackage: 'attr', isThere: () => isCommand('getfattr') },
  { debianPackage: 'poppler-utils', isThere: () => isCommand('pdftotext') },
  { debianPackage: 'iproute2', isThere: () => isCommand('ip') || existsSync('/usr/sbin/ip') },
  { debianPackage: 'nftables', isThere: () => isCommand('nft') || existsSync('/usr/sbin/nft') },
  // Brings libfaketime.
  {
    debianPackage: 'faketime',
    isThere: () =>
      ['x86_64', 'aarch64'].some((machine) => existsSync(`/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`)),
  },
  { debianPackage: 'nginx-light', isThere: () => isCommand('nginx') },
]

/** As root on Debian: installs what is missing. Otherwise says what is missing. Never fatal. */
export async function setUpPackages(): Promise<void> {
  const missing = counterparts.filter(({ isThere }) => !isThere()).map(({ debianPackage }) => debianPackage)
  if (missing.length === 0) return
  if (process.getuid?.() !== 0 || !isCommand('apt-get')) {
    console.log(
      `Missing: ${missing.join(', ')}. Tests that need them are skipped; as root, on Debian, this command installs them.`,
    )
    return
  }
  console.log(`Installing from Debian: ${missing.join(', ')} …`)
  apt(['update', '-q'])
  if (!install(missing)) for (const name of missing) install([name])
  const absent = counterparts.filter(({ isThere }) => !isThere()).map(({ debianPackage }) => debianPackage)
  console.log(
    absent.length === 0
      ? 'Installed.'
      : `Could not be installed: ${absent.join(', ')}. Tests that need them are skipped.`,
  )
}

function install(names: string[]): boolean {
  return apt(['install', '-yq', '--no-install-recommends', ...names])
}

function apt(argv: string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const { status, stderr } = spawnSync('apt-get', argv, {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 15 * 60_000,
  })
  if (status !== 0) console.log(`apt-get ${argv[0]} failed: ${(stderr ?? '').trim().split('\n').at(-1) ?? ''}`)
  return status === 0
}

/**
 * The Python environment of the tests, made once per content of tools/test-requirements.txt. Gives the variables with
 * which tests find it: CYGNET_TEST_PYTHON, and its commands (aws) on the PATH.
 */
export async function setUpPython(environment: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const python = pythonEnvironment(
    'test-requirements.txt',
    'test-python',
    'the Python environment of the tests (boto3, aws, scikit-learn, pyarrow, uproot, onnx)',
  )
  if (python === undefined) return {}
  return { CYGNET_TEST_PYTHON: python, PATH: `${join(python, '..')}:${environment.PATH ?? ''}` }
}

/** The identity provider of the tests, written by others, in an environment of its own: CYGNET_TEST_ISSUER_PYTHON. */
export async function setUpIssuer(): Promise<NodeJS.ProcessEnv> {
  const python = pythonEnvironment(
    'test-issuer-requirements.txt',
    'test-issuer',
    'the identity provider of the tests (Canaille)',
  )
  return python === undefined ? {} : { CYGNET_TEST_ISSUER_PYTHON: python }
}

/** Keycloak, for the long tests of identity: CYGNET_TEST_KEYCLOAK. Needs Maven, and Java 17 to run. */
export async function setUpKeycloak(): Promise<NodeJS.ProcessEnv> {
  const version = '26.0.7'
  const folder = join(cacheFolder(), 'test-keycloak', version)
  const home = join(folder, `keycloak-${version}`)
  const stamp = join(folder, '.complete')
  if (!existsSync(stamp)) {
    console.log('Fetching Keycloak …')
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    const artifact = `-Dartifact=org.keycloak:keycloak-quarkus-dist:${version}:zip`
    const unpack = ['mvn', '-q', '-B', 'dependency:unpack', artifact, `-DoutputDirectory=${folder}`]
    if (!isCommand('mvn') || !isCommand('java') || !tell(unpack) || !existsSync(home)) {
      console.log('It could not be had; tests that need it are skipped.')
      return {}
    }
    chmodSync(join(home, 'bin', 'kc.sh'), 0o755)
    writeFileSync(stamp, '')
  }
  return { CYGNET_TEST_KEYCLOAK: home }
}

/** The python of an environment with these requirements; kept in the cache. Undefined: it could not be made. */
function pythonEnvironment(fileName: string, folderName: string, what: string): string | undefined {
  const requirements = join(import.meta.dirname, fileName)
  const hash = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 16)
  const folder = join(cacheFolder(), folderName, hash)
  const python = join(folder, 'bin', 'python3')
  const stamp = join(folder, '.complete')
  if (existsSync(stamp)) return python
  console.log(`Making ${what} …`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const options = ['-q', '--disable-pip-version-check', '--no-input', '-r', requirements]
  const steps = [
    ['python3', '-m', 'venv', folder],
    [python, '-m', 'pip', 'install', '--only-binary', ':all:', ...options],
  ]
  // Nearly everything comes as wheels; should something not, the second try may build it.
  const made = steps.every(tell) || tell([python, '-m', 'pip', 'install', ...options])
  if (!made) {
    console.log('It could not be made; tests that need it are skipped.')
    return undefined
  }
  writeFileSync(stamp, '')
  return python
}

function tell(argv: string[]): boolean {
  const { status, stderr } = spawnSync(argv[0]!, argv.slice(1), {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 15 * 60_000,
  })
  if (status !== 0)
    console.log(`${argv.slice(0, 4).join(' ')} failed: ${(stderr ?? '').trim().split('\n').at(-1) ?? ''}`)
  return status === 0
}

function cacheFolder(): string {
  if (process.env.CYGNET_CACHE) return process.env.CYGNET_CACHE
  return process.getuid?.() === 0 ? '/var/cache/cygnet' : join(homedir(), '.cache/cygnet')
}

function isCommand(name: string): boolean {
  return (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, name)))
}

function succeeds(program: string, argv: string[]): boolean {
  return spawnSync(program, argv, { stdio: 'ignore' }).status === 0
}
