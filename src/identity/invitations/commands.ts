/** `cygnet invite`, `invitations`, `class`, `requests`, `people end|archive|erase`, `terms`, `mail`: over the wire, like anybody else. */
import type { Command } from 'commander'
import { readFile } from 'node:fs/promises'
import { addVerb, type CommandContext } from '../../foundation/command-line.ts'
import { printTime } from '../../foundation/time.ts'
import { identityContract, personRoles } from '../contract.ts'
import { identityFaults } from '../errors.ts'
import type { PersonRole } from '../subject.ts'

interface InviteOptions {
  experiment: string
  group?: string
  role?: string
  until?: string
  message?: string
  language?: string
  institute?: string[]
  seats?: string
}

export function registerInvitationCommands(program: Command, context: CommandContext): void {
  registerInvite(program, context)
  registerClass(program, context)
  registerRequests(program, context)
  registerPeople(program, context)
  registerSite(program, context)
}

function registerInvite(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)

  addVerb(program, 'invite [address]', {
    summary: 'invite somebody; prints the link, which works once',
    example: 'cygnet invite anna@uni.example -e cygno --group /cygno/students --until 90d',
  })
    .requiredOption('-e, --experiment <name>', 'into which experiment')
    .option('--group <group>', 'into which group of it; default: the experiment itself')
    .option('--role <role>', 'as what; default: guest')
    .option('--until <end>', 'end of the access: 2027-02-20 or 90d; guests: half a year if not said')
    .option('--message <text>', 'a line for the person')
    .option('--institute <issuer...>', 'only who is vouched for by one of these issuers')
    .option('--language <language>', 'of the mail: en or it')
    .action(async (address: string | undefined, options: InviteOptions) => {
      const { experiment, group, message, until, institute } = options
      const made = await api().createInvitation({
        body: {
          experiment,
          role: roleOf(options.role ?? 'guest'),
          ...(group !== undefined && { group }),
          ...(address !== undefined && { addressedTo: address }),
          ...(message !== undefined && { message }),
          ...(institute !== undefined && { issuers: institute }),
          ...(until !== undefined && { accessEndMs: endOf(until) }),
          ...(options.language !== undefined && { language: options.language === 'it' ? 'it' : 'en' }),
        },
      })
      if (output.isJson) return output.json(made)
      output.table([made], ['url'])
      const end = made.accessEndMs === null ? '' : ` The access lasts until ${printTime(made.accessEndMs)}.`
      output.line(`It works once, until ${printTime(made.expiresAtMs)}.${end}`)
    })

  const invitations = program.command('invitations').description('who has been invited')
  addVerb(invitations, 'list <experiment>', {
    summary: 'invitations, newest first',
    example: 'cygnet invitations list cygno',
  })
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async (experiment: string, { cursor }: { cursor?: string }) => {
      const page = await api().listInvitations({ query: { experiment, ...(cursor !== undefined && { cursor }) } })
      output.list(page, [
        'id',
        'group',
        'role',
        {
          title: 'for',
          value: (one) => (one.kind === 'class' ? `${one.used}/${one.maxUses}` : (one.addressedTo ?? '-')),
        },
        { title: 'sponsor', value: ({ sponsor }) => sponsor.name },
        'state',
        'mail',
        { title: 'until', value: ({ expiresAtMs }) => printTime(expiresAtMs) },
      ])
    })
  addVerb(invitations, 'revoke <invitation>', {
    summary: 'the link works no more',
    example: 'cygnet invitations revoke 0198…',
  }).action(async (invitation: string) => {
    const shown = await api().revokeInvitation({ params: { invitation } })
    output.line('The link works no more.')
    if (output.isJson) output.json(shown)
  })
  addVerb(invitations, 'renew <invitation>', {
    summary: 'a new link in place of the old one',
    example: 'cygnet invitations renew 0198…',
  }).action(async (invitation: string) => {
    const made = await api().renewInvitation({ params: { invitation }, body: {} })
    if (output.isJson) return output.json(made)
    output.table([made], ['url'])
    output.line(`It works until ${printTime(made.expiresAtMs)}; the old one does not any more.`)
  })
}

function registerClass(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const classes = program.command('class').description('links for a course')

  addVerb(classes, 'create', {
    summary: 'one link with so many seats; all who come in by it end together',
    example: 'cygnet class create -e cygno --group /cygno/students --seats 30 --until 2027-02-20',
  })
    .requiredOption('-e, --experiment <name>', 'into which experiment')
    .requiredOption('--seats <count>', 'how many may come in')
    .requiredOption('--until <end>', 'end of the access of all: 2027-02-20 or 90d')
    .option('--group <group>', 'into which group of it')
    .option('--message <text>', 'a line for the class')
    .action(async ({ experiment, group, seats, until, message }: InviteOptions) => {
      const made = await api().createClassLink({
        body: {
          experiment,
          seats: Number(seats),
          accessEndMs: endOf(until ?? ''),
          lifetimeMs: 14 * dayMs,
          ...(group !== undefined && { group }),
          ...(message !== undefined && { message }),
        },
      })
      if (output.isJson) return output.json(made)
      output.table([made], ['url'])
      output.line(
        `${made.maxUses} seats, until ${printTime(made.expiresAtMs)}. Who is in: cygnet class show ${made.id}`,
      )
    })
  addVerb(classes, 'show <invitation>', { summary: 'who is in', example: 'cygnet class show 0198…' }).action(
    async (invitation: string) => {
      const { people } = await api().showClass({ params: { invitation } })
      output.list({ items: people }, ['name', 'displayName', 'state'])
    },
  )
  addVerb(classes, 'end <invitation>', {
    summary: 'end the link, and the access of everybody who came in by it',
    example: 'cygnet class end 0198…',
  }).action(async (invitation: string) => {
    const { ended } = await api().endClass({ params: { invitation } })
    output.line(`The access of ${ended} has ended; they can read for 14 more days.`)
    if (output.isJson) output.json({ ended })
  })
}

function registerRequests(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const requests = program.command('requests').description('who asks for an experiment')

  addVerb(requests, 'list', { summary: 'requests, newest first', example: 'cygnet requests list' })
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async ({ cursor }: { cursor?: string }) => {
      const page = await api().listRequests({ query: cursor === undefined ? {} : { cursor } })
      output.list(page, [
        'id',
        'name',
        'title',
        'applicant',
        'email',
        { title: 'known by', value: ({ knownBy }) => knownBy },
        'state',
        { title: 'TB', value: ({ storageBytes }) => storageBytes / 1e12, align: 'right' },
        { title: 'until', value: ({ endsAtMs }) => printTime(endsAtMs) },
      ])
    })
  addVerb(requests, 'approve <request>', {
    summary: 'make the experiment, and invite who asked to run it',
    example: 'cygnet requests approve 0198… --storage-tb 5',
  })
    .option('--storage-tb <terabytes>', 'another quota than the one asked for')
    .option('--until <end>', 'another end: 2028-12-31 or 365d')
    .action(async (request: string, { storageTb, until }: { storageTb?: string; until?: string }) => {
      const answer = await api().approveRequest({
        params: { request },
        body: {
          ...(storageTb !== undefined && { quotaBytes: Math.round(Number(storageTb) * 1e12) }),
          ...(until !== undefined && { endsAtMs: endOf(until) }),
        },
      })
      if (output.isJson) return output.json(answer)
      output.line(`The experiment ${answer.request.name} is there.`)
      if (answer.url === null) return
      output.table([{ url: answer.url }], ['url'])
      output.line(`Give this link to ${answer.request.applicant}; it works once, for 14 days.`)
    })
  addVerb(requests, 'reject <request> <reason>', {
    summary: 'say no, and why; the reason is mailed',
    example: 'cygnet requests reject 0198… "It fits into cygno."',
  }).action(async (request: string, reason: string) => {
    const shown = await api().rejectRequest({ params: { request }, body: { reason } })
    output.line(`The request for ${shown.name} is rejected.`)
    if (output.isJson) output.json(shown)
  })
}

function registerPeople(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const people =
    program.commands.find((command) => command.name() === 'people') ??
    program.command('people').description('accounts from the first to the last day')

  addVerb(people, 'guests [experiment]', {
    summary: 'guests I answer for, or all of an experiment',
    example: 'cygnet people guests',
  }).action(async (experiment: string | undefined) => {
    const { items } = await api().listGuests({ query: experiment === undefined ? {} : { experiment } })
    output.list({ items }, [
      'name',
      'displayName',
      'state',
      { title: 'sponsor', value: ({ sponsor, orphan }) => (orphan ? 'has left' : (sponsor?.name ?? '-')) },
      { title: 'access ends', value: ({ accessEndMs }) => (accessEndMs === null ? '-' : printTime(accessEndMs)) },
    ])
  })
  addVerb(people, 'renew <person>', {
    summary: 'another half year for a guest, who is yours from now on',
    example: 'cygnet people renew anna',
  })
    .option('--until <end>', 'another end: 2027-02-20 or 90d')
    .action(async (name: string, { until }: { until?: string }) => {
      const shown = await api().renewGuest({
        params: { person: await idOf(name) },
        body: until === undefined ? {} : { accessEndMs: endOf(until) },
      })
      output.line(`${shown.name} is ${shown.state}, until ${printTime(shown.accessEndMs ?? 0)}.`)
      if (output.isJson) output.json(shown)
    })
  addVerb(people, 'end <person>', {
    summary: 'end the access: read-only for 14 days, then closed',
    example: 'cygnet people end anna',
  }).action(async (name: string) => {
    const shown = await api().endAccess({ params: { person: await idOf(name) } })
    output.line(`${shown.name} can read for 14 more days.`)
    if (output.isJson) output.json(shown)
  })
  addVerb(people, 'archive <person>', {
    summary: 'of somebody suspended: hand the home over, remove jobs and credentials, for good',
    example: 'cygnet people archive anna',
  }).action(async (name: string) => {
    const shown = await api().archivePerson({ params: { person: await idOf(name) } })
    output.line(`${shown.name} is archived.`)
    if (output.isJson) output.json(shown)
  })
  addVerb(people, 'erase <person>', {
    summary: 'of somebody archived: put a number in place of the name; cannot be undone',
    example: 'cygnet people erase anna --yes',
  })
    .option('--yes', 'really')
    .action(async (name: string, { yes }: { yes?: boolean }) => {
      if (yes !== true)
        throw identityFaults.invitationRefused('Erasing cannot be undone.', { hint: 'Say it with --yes.' })
      const shown = await api().erasePerson({ params: { person: await idOf(name) } })
      output.line(`From now on it is ${shown.displayName}.`)
      if (output.isJson) output.json(shown)
    })

  async function idOf(name: string): Promise<string> {
    if (/^[0-9a-f]{8}-/.test(name)) return name
    const { items } = await api().listGuests({})
    const own = items.find((guest) => guest.name === name)
    return own?.id ?? (await api().findPerson({ params: { name } })).id
  }
}

function registerSite(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const terms = program.command('terms').description('the rules of this site')
  addVerb(terms, 'show', { summary: 'the rules and their version', example: 'cygnet terms show' }).action(async () => {
    const shown = await api().showTerms({})
    if (output.isJson) return output.json(shown)
    output.table([{ version: shown.version, text: shown.text }], ['version', 'text'])
  })
  addVerb(terms, 'publish <file>', {
    summary: 'a new version; nobody starts anything new before agreeing to it',
    example: 'cygnet terms publish rules.txt',
  }).action(async (file: string) => {
    const shown = await api().publishTerms({ body: { text: (await readFile(file, 'utf8')).trim() } })
    output.line(`Version ${shown.version} is in force. What runs goes on.`)
    if (output.isJson) output.json({ version: shown.version })
  })

  const mail = program.command('mail').description('the outbox')
  addVerb(mail, 'list', { summary: 'what waits, and what could not be sent', example: 'cygnet mail list --state dead' })
    .option('--state <state>', 'waiting, sent, dead or dropped')
    .action(async ({ state }: { state?: string }) => {
      const known = (['waiting', 'sending', 'sent', 'dead', 'dropped'] as const).find((one) => one === state)
      const page = await api().listMail({ query: known === undefined ? {} : { state: known } })
      output.list(page, ['id', 'recipient', 'template', 'state', 'attempts', 'reason'])
      if (!page.configured) output.line('No mail server is set (mail.host in cygnet.yaml): nothing is sent.')
    })
  addVerb(mail, 'retry <mail>', {
    summary: 'try again what could not be sent',
    example: 'cygnet mail retry 0198…',
  }).action(async (id: string) => {
    const shown = await api().retryMail({ params: { mail: id } })
    output.line('It is tried again now.')
    if (output.isJson) output.json(shown)
  })
}

const dayMs = 86_400_000

/** '90d' from now, or the last moment of a day (UTC). */
function endOf(text: string, nowMs = Date.now()): number {
  const days = /^(\d{1,4})d$/.exec(text)?.[1]
  if (days !== undefined) return nowMs + Number(days) * dayMs
  const endMs = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T23:59:59Z`) : Number.NaN
  if (!Number.isNaN(endMs)) return endMs
  throw identityFaults.invitationRefused(`'${text}' is no end.`, { hint: 'Write a day, 2027-02-20, or days, 90d.' })
}

function roleOf(text: string): PersonRole {
  const role = personRoles.find((one) => one === text)
  if (role !== undefined) return role
  throw identityFaults.invitationRefused(`There is no role '${text}'.`, { hint: `Roles: ${personRoles.join(', ')}.` })
}
