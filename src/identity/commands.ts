/** `login`, `logout`, `whoami` and `credentials`: everything over the wire, like anybody else. */
import type { Command } from 'commander'
import { createClient } from '../foundation/client.ts'
import { addVerb, type CommandContext } from '../foundation/command-line.ts'
import { printTime } from '../foundation/time.ts'
import { registerAuditCommands } from './auditing/commands.ts'
import { identityContract } from './contract.ts'
import { registerDecisionCommands } from './decisions/commands.ts'
import { identityFaults } from './errors.ts'
import { registerFactorCommands } from './factors/commands.ts'
import { registerFederationCommands } from './federation/commands.ts'
import { registerGroupCommands } from './groups/commands.ts'
import { registerInvitationCommands } from './invitations/commands.ts'
import { signInFile, type SignIn, type SignInFile } from './sign-in-file.ts'
import { registerTokenCommands } from './tokens/commands.ts'

export { signInFile, type SignIn, type SignInFile } from './sign-in-file.ts'
export { registerEnrolment } from './tokens/commands.ts'

interface CredentialOptions {
  mine?: boolean
  client?: string
  experiment?: string
  label?: string
  prefix?: string
}

/** `configDirectory` is where sign-ins are kept; default `~/.config/cygnet`. */
export function registerIdentityCommands(program: Command, context: CommandContext, configDirectory?: string): void {
  const file = (): SignInFile => signInFile(context.profile.name, configDirectory)
  registerSignIn(program, context, file)
  registerCredentials(program, context)
  registerAuditCommands(program, context)
  registerDecisionCommands(program, context)
  registerGroupCommands(program, context)
  registerFederationCommands(program, context)
  registerFactorCommands(program, context)
  registerInvitationCommands(program, context)
  registerTokenCommands(program, context, file)
}

function registerSignIn(program: Command, context: CommandContext, file: () => SignInFile): void {
  const { output } = context

  addVerb(program, 'login', { summary: 'Sign the command line in', example: 'cygnet login' })
    .option('--server <url>', 'address of the platform')
    .option('--code <code>', 'one-time code, or the whole sign-in link, instead of the browser')
    .action(async (options: { server?: string; code?: string }) => {
      const platformUrl = serverOf(options.server ?? linkOrigin(options.code) ?? context.profile.platformUrl)
      const tokens =
        options.code === undefined
          ? await deviceSignIn(platformUrl, context)
          : await codeSignIn(platformUrl, options.code)
      const headers = { authorization: `Bearer ${tokens.accessToken}` }
      const { name } = await createClient(identityContract, { baseUrl: platformUrl, headers }).me()
      const s3Url = await s3UrlAt(platformUrl)
      await file().write({ ...tokens, platformUrl, ...(s3Url === undefined ? {} : { s3Url }), personName: name })
      output.line(`Signed in at ${platformUrl} as ${name}.`)
      if (output.isJson) output.json({ name, platformUrl, file: file().path })
    })

  addVerb(program, 'logout', { summary: 'Sign the command line out', example: 'cygnet logout' }).action(async () => {
    const present = await file().read()
    const revoked = present?.refreshToken === undefined || (await revoke(present.platformUrl, present.refreshToken))
    await file().remove()
    output.line(present === undefined ? 'You were not signed in.' : `Signed out of ${present.platformUrl}.`)
    if (!revoked)
      output.line('The platform did not answer: the sign-in is gone from here, and ends there within 30 days.')
    if (output.isJson) output.json({ signedOut: present !== undefined, revoked })
  })

  addVerb(program, 'whoami', { summary: 'Who I am and what I may do', example: 'cygnet whoami --json' }).action(
    async () => {
      const me = await context.client(identityContract).me()
      if (output.isJson) return output.json(me)
      output.line(
        `${me.name} (${me.displayName})${me.siteAdmin ? ', site admin' : ''} at ${context.profile.platformUrl}`,
      )
      output.table(me.roles, ['experiment', 'role'])
    },
  )
}

function registerCredentials(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const credentials = program.command('credentials').description('S3 access keys of mine, and of DAQ machines')

  addVerb(credentials, 'create', {
    summary: 'Make an access key; its secret is shown once',
    example: 'cygnet credentials create --client daq-lngs --experiment demo',
  })
    .option('--mine', 'a key of my own (the default)')
    .option('--client <name>', 'a create-only key of this DAQ machine, which is registered if it is new')
    .option('--experiment <name>', 'the experiment of the machine; for my own key: only there')
    .option('--prefix <bucket/prefix>', 'only below this')
    .option('--label <text>', 'what it is for')
    .action(async (options: CredentialOptions) => {
      const key = options.client === undefined ? await ownKey(options) : await clientKey(options.client, options)
      if (output.isJson) return output.json(key)
      output.table([key], ['accessKeyId', 'secretAccessKey'])
      output.line('The secret is shown this once. To use it:')
      for (const line of toolLines(key, context.profile.s3Url)) output.line(`  ${line}`)
    })

  addVerb(credentials, 'list', { summary: 'My access keys, or those of a machine', example: 'cygnet credentials list' })
    .option('--client <name>', 'of this DAQ machine')
    .option('--experiment <name>', 'the experiment of the machine')
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async (options: CredentialOptions & { cursor?: string }) => {
      const { cursor } = options
      const client = options.client === undefined ? undefined : (await requireClient(options.client, options)).id
      const page = await api().listAccessKeys({
        query: {
          limit: 1000,
          ...(client === undefined ? {} : { client }),
          ...(cursor === undefined ? {} : { cursor }),
        },
      })
      output.list(page, [
        'accessKeyId',
        'label',
        { title: 'only for', value: ({ limits }) => limits.prefix ?? limits.experiment ?? 'everything of its owner' },
        { title: 'created', value: ({ createdAtMs }) => printTime(createdAtMs) },
        { title: 'ends', value: ({ expiresAtMs }) => (expiresAtMs === null ? 'when revoked' : printTime(expiresAtMs)) },
      ])
    })

  addVerb(credentials, 'revoke <accessKeyId>', {
    summary: 'Revoke an access key at once',
    example: 'cygnet credentials revoke CYGABCDEFGHIJKLMNOPQ',
  }).action(async (accessKeyId: string) => {
    await api().revokeAccessKey({ params: { accessKey: accessKeyId } })
    output.line(`${accessKeyId} no longer opens anything.`)
    if (output.isJson) output.json({ revoked: true, accessKeyId })
  })

  async function ownKey({ label, prefix, experiment }: CredentialOptions) {
    const limits = { ...(prefix === undefined ? {} : { prefix }), ...(experiment === undefined ? {} : { experiment }) }
    return await api().createAccessKey({ body: { ...(label === undefined ? {} : { label }), limits } })
  }

  async function clientKey(name: string, options: CredentialOptions) {
    const known = await findClient(name, options)
    const { label, prefix } = options
    if (known === undefined && prefix === undefined) {
      return (await api().registerClient({ body: { name, experiment: experimentOf(options) } })).accessKey
    }
    const client = known ?? (await api().registerClient({ body: { name, experiment: experimentOf(options) } })).client
    const limits = prefix === undefined ? {} : { limits: { prefix } }
    return await api().createAccessKey({ body: { client: client.id, label: label ?? 'DAQ', ...limits } })
  }

  async function findClient(name: string, options: CredentialOptions) {
    const { items } = await api().listClients({ query: { experiment: experimentOf(options), limit: 1000 } })
    return items.find((client) => client.name === name)
  }

  async function requireClient(name: string, options: CredentialOptions) {
    const client = await findClient(name, options)
    if (client === undefined)
      throw identityFaults.noSuchClient(`${experimentOf(options)} has no machine named '${name}'.`)
    return client
  }
}

function experimentOf({ experiment }: CredentialOptions): string {
  if (experiment !== undefined) return experiment
  throw identityFaults.invalidLimits('A machine belongs to an experiment.', {
    hint: 'Say which one: --experiment NAME.',
  })
}

/** What people paste into the tools they already have. */
export function toolLines(key: { accessKeyId: string; secretAccessKey: string }, s3Url = 'S3_ADDRESS'): string[] {
  return [
    `aws configure set aws_access_key_id ${key.accessKeyId} --profile cygnet`,
    `aws configure set aws_secret_access_key ${key.secretAccessKey} --profile cygnet`,
    `aws configure set endpoint_url ${s3Url} --profile cygnet`,
    `rclone config create cygnet s3 provider=Other access_key_id=${key.accessKeyId} secret_access_key=${key.secretAccessKey} endpoint=${s3Url}`,
  ]
}

type Tokens = Pick<SignIn, 'accessToken' | 'expiresAtMs' | 'refreshToken'>

async function codeSignIn(platformUrl: string, codeOrLink: string): Promise<Tokens> {
  const code = codeOrLink.split('#code=').at(-1)!.trim()
  const { accessToken, expiresAtMs, refreshToken } = await createClient(identityContract, {
    baseUrl: platformUrl,
  }).token({ body: { code } })
  return { accessToken, expiresAtMs, ...(refreshToken === undefined ? {} : { refreshToken }) }
}

/** The person confirms in any browser, on any machine; this one only waits. */
async function deviceSignIn(platformUrl: string, { output }: CommandContext): Promise<Tokens> {
  const unreachable = (cause: unknown): never => {
    throw identityFaults.unreachable(`${platformUrl} does not answer, or is no Cygnet.`, {
      cause,
      hint: 'Check --server.',
    })
  }
  // Only this way of signing in needs it: it is heavy.
  const oidc = await import('openid-client')
  const plainHttp = platformUrl.startsWith('http:') ? [oidc.allowInsecureRequests] : []
  const config = await oidc
    .discovery(new URL(`${platformUrl}/oidc`), 'cli', undefined, oidc.None(), { execute: plainHttp })
    .catch(unreachable)
  const started = await oidc
    .initiateDeviceAuthorization(config, { scope: 'openid offline_access api' })
    .catch(unreachable)
  output.line(`Open ${started.verification_uri_complete ?? started.verification_uri}`)
  output.line(`and confirm the code ${started.user_code} (valid for ${Math.round(started.expires_in / 60)} minutes).`)
  output.progress('Waiting for the browser ...')
  const tokens = await oidc.pollDeviceAuthorizationGrant(config, started).catch((cause: unknown) => {
    throw identityFaults.notAllowed('The sign-in was denied, or not confirmed in time.', {
      cause,
      hint: 'Start again: cygnet login.',
    })
  })
  output.progress('')
  return {
    accessToken: tokens.access_token,
    expiresAtMs: Date.now() + (tokens.expires_in ?? 0) * 1000,
    ...(tokens.refresh_token === undefined ? {} : { refreshToken: tokens.refresh_token }),
  }
}

async function revoke(platformUrl: string, refreshToken: string): Promise<boolean> {
  const body = new URLSearchParams({ client_id: 'cli', token: refreshToken })
  return await fetch(`${platformUrl}/oidc/token/revocation`, { method: 'POST', body }).then(
    ({ ok }) => ok,
    () => false,
  )
}

/** Where the platform says its S3 endpoint is; undefined if it does not say. */
async function s3UrlAt(platformUrl: string): Promise<string | undefined> {
  const answer = await fetch(`${platformUrl}/.well-known/cygnet`).catch(() => undefined)
  const said = answer?.ok ? ((await answer.json().catch(() => ({}))) as { s3Url?: unknown }) : {}
  return typeof said.s3Url === 'string' && URL.canParse(said.s3Url) ? said.s3Url : undefined
}

function linkOrigin(code: string | undefined): string | undefined {
  return code?.includes('#code=') && URL.canParse(code) ? new URL(code).origin : undefined
}

/** Secrets travel over plain http only inside this machine. */
function serverOf(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined
  const local = url !== undefined && ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && local)) return url.origin
  throw identityFaults.insecureServer(`'${address}' is not an https address.`, {
    hint: 'Plain http is only for a platform on this machine (http://127.0.0.1:8410).',
  })
}
