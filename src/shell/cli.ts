/** The command line: every room's verbs, one way to speak, honest exit codes. */
import { Command, CommanderError } from 'commander'
import { join } from 'node:path'
import { createClient } from '../foundation/client.ts'
import { createOutput, type CommandContext, type Output } from '../foundation/command-line.ts'
import { exitCodeOf, Fault, faultLines } from '../foundation/errors.ts'
import { trustPrivateAuthority } from '../foundation/private-authority.ts'
import { registerEnrolment, registerIdentityCommands, signInFile } from '../identity/commands.ts'
import { homeAt } from './home.ts'
import { addressesAt } from './platform.ts'
import { programVersion } from '../foundation/version.ts'

const checkout = join(import.meta.dirname, '..', '..')
const program = new Command('cygnet')
  .description('The experiment cloud for small physics collaborations.')
  .version(programVersion(), '-V, --version', 'print the version')
  .option('--home <folder>', 'home of the installation on this machine')
  .option('--profile <name>', 'which sign-in to use', 'default')
  .addHelpText(
    'after',
    '\nFirst steps:\n  $ cygnet demo     everything, once, on simulated data\n  $ cygnet up       the same platform, empty, for real use\n  $ cygnet login    sign this command line in',
  )
  .showHelpAfterError('(see --help)')
  .exitOverride()

/** Rooms take their parts of this at registration; what a command line says about them is filled in before its action. */
const context = {
  home: '',
  profile: { name: 'default', platformUrl: '' },
  output: whatTheFlagSays(),
  client,
} as CommandContext
let current: Output = createOutput({ json: false, stdout: process.stdout, stderr: process.stderr })

program.hook('preAction', async (_program, action) => {
  await trustPrivateAuthority()
  const options = action.optsWithGlobals<{ json?: boolean; home?: string; profile: string }>()
  current = createOutput({ json: options.json ?? false, stdout: process.stdout, stderr: process.stderr })
  const home = homeAt(options.home)
  const signIn = await signInFile(options.profile).read()
  const platformUrl = signIn?.platformUrl ?? (await localPlatformUrl(options.home))
  const s3Url = signIn?.s3Url ?? (signIn ? s3UrlOf(platformUrl) : (await addressesAt(home)).s3Url)
  Object.assign(context, { home: home.folder })
  Object.assign(context.profile, { name: options.profile, platformUrl, ...(s3Url === undefined ? {} : { s3Url }) })
})

for (const register of await registrations(process.argv)) register(program, context, checkout)

process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
try {
  await program.parseAsync(process.argv)
} catch (error) {
  process.exitCode = endOf(error)
}

type Register = (program: Command, context: CommandContext, checkout: string) => void

/**
 * Only the room whose verb was typed is loaded: a command answers sooner, and `up` keeps less in memory. Help and typing
 * errors load all of them.
 */
async function registrations(argv: string[]): Promise<Register[]> {
  const loaders: [verbs: string[], load: () => Promise<Register>][] = [
    [['up', 'admin-link', 'status', 'config'], async () => (await import('./up-command.ts')).registerPlatformCommands],
    [
      ['upgrade', 'rollback', 'down', 'install-service'],
      async () => (await import('./upgrade-command.ts')).registerUpgradeCommands,
    ],
    [['move'], async () => (await import('./move-command.ts')).registerMoveCommand],
    [['demo'], async () => (await import('./demo/demo-command.ts')).registerDemoCommand],
    [['bundle'], async () => (await import('./packaging/bundle-command.ts')).registerBundleCommand],
    [['uninstall'], async () => (await import('./packaging/uninstall-command.ts')).registerUninstallCommand],
    [['support'], async () => (await import('./observability/support-command.ts')).registerSupportCommand],
    [['doctor'], async () => (await import('./doctor-command.ts')).registerDoctorCommand],
    [
      [
        ...['login', 'logout', 'whoami', 'credentials', 'token', 'tokens', 'keys', 'audit', 'identity', 'people'],
        ...[
          'groups',
          'policy',
          'issuers',
          'import-rules',
          'invite',
          'invitations',
          'class',
          'requests',
          'terms',
          'mail',
        ],
      ],
      async () => (program, context) => registerIdentityCommands(program, context),
    ],
    [['data'], async () => (await import('../storage/commands.ts')).registerDataCommands],
    [['runs'], async () => (await import('../logbook/commands.ts')).registerRunsCommands],
    [['experiments'], async () => (await import('../logbook/commands.ts')).registerExperimentCommands],
    [
      ['daq'],
      async () => {
        const { registerDaqCommands } = await import('../ingest/commands.ts')
        return (program, context) => {
          registerDaqCommands(program, context)
          registerEnrolment(program, context)
        }
      },
    ],
    [['jobs'], async () => (await import('../compute/commands.ts')).registerJobCommands],
    [['reco'], async () => (await import('../reconstruction/commands.ts')).registerReconstructionCommands],
    [['sessions'], async () => (await import('../notebooks/commands.ts')).registerSessionCommands],
  ]
  const typed = loaders.filter(([verbs]) => argv.slice(2).some((word) => verbs.includes(word)))
  return Promise.all((typed.length > 0 ? typed : loaders).map(([, load]) => load()))
}

function endOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  current.progress('')
  for (const line of faultLines(error)) process.stderr.write(`${line}\n`)
  if (error instanceof Fault && error.status === 401) process.stderr.write('  Sign in: cygnet login\n')
  return exitCodeOf(error)
}

function client(...[contract]: Parameters<CommandContext['client']>) {
  return createClient(contract, {
    baseUrl: context.profile.platformUrl,
    headers: () => signInFile(context.profile.name).headers(),
  })
}

/** Without a sign-in: the installation of this machine. */
async function localPlatformUrl(home: string | undefined): Promise<string> {
  return (await addressesAt(homeAt(home))).publicUrl
}

/** For sign-ins from before platforms said it: on this machine S3 was on the next port. */
function s3UrlOf(platformUrl: string): string | undefined {
  const url = new URL(platformUrl)
  return url.hostname === '127.0.0.1' ? `http://127.0.0.1:${Number(url.port) + 1}` : undefined
}

/** Rooms hold on to this one; behind it stands what `--json` chose. */
function whatTheFlagSays(): Output {
  return {
    get isJson() {
      return current.isJson
    },
    table: (...given) => current.table(...given),
    list: (...given) => current.list(...given),
    json: (value) => current.json(value),
    text: (value) => current.text(value),
    line: (text) => current.line(text),
    progress: (text) => current.progress(text),
  }
}
