/** `token`, `tokens`, `keys`, `credentials process` and, below `daq`, `enrol`: everything over the wire, like anybody else. */
import type { Command } from 'commander'
import { access } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '../../foundation/client.ts'
import { addVerb, type CommandContext } from '../../foundation/command-line.ts'
import { printTime } from '../../foundation/time.ts'
import { identityContract } from '../contract.ts'
import { identityFaults } from '../errors.ts'
import type { SignInFile } from '../sign-in-file.ts'
import { askForToken, machineToken, newKeyPair, readMachineFile, writeMachineFile } from './machine-file.ts'
import { thumbprintOf } from './machines.ts'

const day = 86_400_000

export function registerTokenCommands(program: Command, context: CommandContext, file: () => SignInFile): void {
  registerToken(program, context, file)
  registerPersonalTokens(program, context)
  registerSigningKeys(program, context)
}

function registerToken(program: Command, context: CommandContext, file: () => SignInFile): void {
  const { output, profile } = context

  async function signedIn(): Promise<string> {
    const { authorization } = await file().headers()
    if (authorization === undefined)
      throw identityFaults.signInNeeded('You are not signed in.', { hint: 'Sign in first: cygnet login.' })
    return authorization.slice('Bearer '.length)
  }

  async function narrowed(options: { experiment: string; scope: string; audience?: string }): Promise<string> {
    const platformUrl = (await file().read())?.platformUrl ?? profile.platformUrl
    return await askForToken(`${platformUrl}/e/${options.experiment}`, {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: await signedIn(),
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      scope: options.scope,
      ...(options.audience !== undefined && { audience: options.audience }),
    })
  }

  addVerb(program, 'token', {
    summary: 'Print an access token of an experiment for some scope, for tools that take one',
    example: 'BEARER_TOKEN=$(cygnet token --experiment demo --scope storage.read:/work)',
  })
    .option('--experiment <name>', 'whose issuer makes it')
    .option('--scope <scope>', "for example 'storage.read:/raw compute.read wlcg.groups'")
    .option('--audience <https://host>', 'the service it is for; this platform if not said')
    .option('--machine <file>', 'of the machine that cygnet daq enrol made this file for')
    .action(async (options: { experiment?: string; scope?: string; audience?: string; machine?: string }) => {
      const { experiment, scope, audience, machine } = options
      if (machine !== undefined)
        return output.text(await machineToken(await readMachineFile(machine), { scope, audience }))
      if (experiment === undefined || scope === undefined)
        throw identityFaults.invalidLimits('A token is for an experiment and a scope.', {
          hint: 'Say --experiment NAME and --scope SCOPE.',
        })
      output.text(await narrowed({ experiment, scope, ...(audience !== undefined && { audience }) }))
    })

  const credentials =
    program.commands.find((one) => one.name() === 'credentials') ??
    program.command('credentials').description('S3 credentials')
  addVerb(credentials, 'process', {
    summary: 'Temporary S3 credentials as AWS tools take them from credential_process',
    example: 'aws configure set credential_process "cygnet credentials process" --profile cygnet',
  })
    .option('--experiment <name>', 'only for this experiment')
    .option('--scope <scope>', "only this, for example 'storage.read:/work' (needs --experiment)")
    .option('--machine <file>', 'of the machine that cygnet daq enrol made this file for')
    .action(async (options: { experiment?: string; scope?: string; machine?: string }) => {
      const { experiment, scope } = options
      const machine = options.machine === undefined ? undefined : await readMachineFile(options.machine)
      const s3Url = machine?.s3Url ?? (await file().read())?.s3Url ?? profile.s3Url
      if (s3Url === undefined) throw identityFaults.unreachable('The platform did not say where its S3 endpoint is.')
      const token =
        machine !== undefined
          ? await machineToken(machine, { scope })
          : scope === undefined || experiment === undefined
            ? await signedIn()
            : await narrowed({ experiment, scope })
      output.json(await temporaryKey(s3Url, token, experiment))
    })
}

/** What `credential_process` prints. */
async function temporaryKey(s3Url: string, token: string, experiment: string | undefined) {
  const body = new URLSearchParams({
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    WebIdentityToken: token,
    ...(experiment !== undefined && { RoleArn: `arn:aws:iam::${experiment}:role/member` }),
  })
  const response = await fetch(s3Url, { method: 'POST', body }).catch((cause: unknown) => {
    throw identityFaults.unreachable(`${s3Url} does not answer.`, { cause })
  })
  const text = await response.text()
  const part = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1] ?? ''
  if (!response.ok) throw identityFaults.notAllowed(part('Message') || `The S3 endpoint answered ${response.status}.`)
  return {
    Version: 1,
    AccessKeyId: part('AccessKeyId'),
    SecretAccessKey: part('SecretAccessKey'),
    SessionToken: part('SessionToken'),
    Expiration: part('Expiration'),
  }
}

function registerPersonalTokens(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const tokens = program.command('tokens').description('Personal tokens: for your own programs, with an end')

  addVerb(tokens, 'create <label>', {
    summary: 'Make a personal token; it is shown once',
    example: 'cygnet tokens create plots --may logbook.read --may data.read:/demo-work/anna/** --days 90',
  })
    .requiredOption('--may <capability...>', 'what it may: an action, or an action at a place in a bucket')
    .option('--experiment <name>', 'only in this experiment')
    .option('--days <number>', 'it ends after so many days, 400 at most', '90')
    .action(async (label: string, options: { may: string[]; experiment?: string; days: string }) => {
      const { may: capabilities, experiment, days } = options
      const lifetimeMs = Math.round(Number(days) * day)
      const made = await api().createPersonalToken({
        body: { label, capabilities, lifetimeMs, ...(experiment !== undefined && { experiment }) },
      })
      if (output.isJson) return output.json(made)
      output.line(`The token is shown this once. It ends ${printTime(made.expiresAtMs)}.`)
      output.text(made.token)
    })

  addVerb(tokens, 'list', { summary: 'My personal tokens', example: 'cygnet tokens list' })
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async ({ cursor }: { cursor?: string }) => {
      const page = await api().listPersonalTokens({ query: { limit: 1000, ...(cursor !== undefined && { cursor }) } })
      output.list(page, [
        'id',
        'label',
        { title: 'may', value: ({ capabilities }) => capabilities.join(' ') },
        { title: 'used', value: ({ lastUsedAtMs }) => (lastUsedAtMs === null ? 'never' : printTime(lastUsedAtMs)) },
        { title: 'ends', value: ({ expiresAtMs }) => printTime(expiresAtMs) },
      ])
    })

  addVerb(tokens, 'revoke <id>', {
    summary: 'Revoke a personal token at once',
    example: 'cygnet tokens revoke 0198c0de-0000-7000-8000-000000000000',
  }).action(async (id: string) => {
    await api().revokePersonalToken({ params: { token: id } })
    output.line('The token no longer opens anything.')
    if (output.isJson) output.json({ revoked: true, id })
  })
}

function registerSigningKeys(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const keys = program.command('keys').description('Keys that sign the tokens of this platform (site admin)')
  type Keys = Awaited<ReturnType<ReturnType<typeof api>['listSigningKeys']>>
  const show = ({ items }: Keys) =>
    output.list({ items }, [
      'kid',
      'state',
      { title: 'signs from', value: ({ signsFromMs }) => printTime(signsFromMs) },
      { title: 'accepted until', value: ({ endsAtMs }) => (endsAtMs === null ? '' : printTime(endsAtMs)) },
    ])

  addVerb(keys, 'list', {
    summary: 'The key that signs, the next, and those before',
    example: 'cygnet keys list',
  }).action(async () => show(await api().listSigningKeys()))
  addVerb(keys, 'rotate', {
    summary: 'Publish the next key; it signs two days later',
    example: 'cygnet keys rotate',
  }).action(async () => show(await api().rotateSigningKeys()))
  addVerb(keys, 'remove <kid>', {
    summary: 'Emergency: a key is no longer accepted, every token it signed is dead',
    example: 'cygnet keys remove 2026-11-01-abc123',
  }).action(async (kid: string) => show(await api().removeSigningKey({ params: { kid } })))
}

/** Below `daq`, which another room has made: this machine gets a key of its own. */
export function registerEnrolment(program: Command, context: CommandContext): void {
  const { output, profile } = context
  const daq = program.commands.find((one) => one.name() === 'daq') ?? program.command('daq')

  addVerb(daq, 'enrol', {
    summary: 'make a key pair on this machine and have it registered by an admin of the experiment',
    example: 'cygnet daq enrol --experiment demo --name daq-lngs --out /etc/cygnet/daq-lngs.json',
  })
    .requiredOption('--experiment <name>', 'the experiment of the machine')
    .requiredOption('--name <name>', 'its name there')
    .requiredOption('--out <file>', 'where the private key goes; readable by you only')
    .option('--server <url>', 'address of the platform')
    .action(async (options: { experiment: string; name: string; out: string; server?: string }) => {
      const isThere = await access(options.out).then(
        () => true,
        () => false,
      )
      if (isThere) throw identityFaults.nameTaken(`${options.out} is there already.`, { hint: 'Choose another file.' })
      const platformUrl = options.server ?? profile.platformUrl
      const api = createClient(identityContract, { baseUrl: platformUrl })
      const { publicKey, privateKey } = newKeyPair()
      const { experiment, name } = options
      const asked = await api.requestEnrolment({ body: { experiment, name, publicKey } })
      output.line(`An admin of ${experiment} opens ${asked.verificationUri}`)
      output.line(`and compares the code ${asked.userCode} and the key ${thumbprintOf(publicKey)}.`)
      output.progress('Waiting ...')
      for (;;) {
        const { state, client } = await api.pollEnrolment({ body: { deviceCode: asked.deviceCode } })
        if (state === 'denied') throw identityFaults.notAllowed('The machine was not registered.')
        if (client !== null) {
          const { clientId, keyId, issuer, scope, expiresAtMs } = client
          const s3Url = (await s3UrlAt(platformUrl)) ?? null
          await writeMachineFile(options.out, { clientId, keyId, issuer, scope, s3Url, privateKey })
          output.progress('')
          output.line(`Registered until ${printTime(expiresAtMs)}; its owners can renew it. Key: ${options.out}`)
          if (output.isJson) output.json({ clientId, keyId, issuer, scope, expiresAtMs, file: options.out })
          return
        }
        await sleep(asked.intervalMs)
      }
    })
}

/** Where the platform says its S3 endpoint is; undefined if it does not say. */
async function s3UrlAt(platformUrl: string): Promise<string | undefined> {
  const answer = await fetch(`${platformUrl}/.well-known/cygnet`).catch(() => undefined)
  const said = answer?.ok ? ((await answer.json().catch(() => ({}))) as { s3Url?: unknown }) : {}
  return typeof said.s3Url === 'string' && URL.canParse(said.s3Url) ? said.s3Url : undefined
}
