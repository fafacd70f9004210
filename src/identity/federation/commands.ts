/** `cygnet issuers …` and `cygnet import-rules …`: everything over the wire, like anybody else. */
import type { Command } from 'commander'
import { readFile } from 'node:fs/promises'
import { text as readAll } from 'node:stream/consumers'
import type { z } from 'zod'
import { addVerb, type CommandContext } from '../../foundation/command-line.ts'
import { printDuration, printTime } from '../../foundation/time.ts'
import { identityContract } from '../contract.ts'
import { identityFaults } from '../errors.ts'
import { personRoles, type PersonRole } from '../subject.ts'
import { trustSchema, type importRuleSchema, type issuerSchema } from './contract.ts'

type Issuer = z.infer<typeof issuerSchema>
type Rule = z.infer<typeof importRuleSchema>

const dayMs = 86_400_000

export function registerFederationCommands(
  program: Command,
  context: CommandContext,
  stdin: NodeJS.ReadableStream = process.stdin,
): void {
  registerIssuers(program, context, stdin)
  registerRules(program, context)
}

interface SettingOptions {
  label?: string
  clientId?: string
  secretFile?: string
  vouches?: string
  scopes?: string
  groupsClaim?: string
  recheck?: string
}

interface TrustOptions {
  experiment: string
  prefix: string
  audience: string[]
  scope?: string[]
  hours?: string
  label?: string
  oldTypes?: boolean
}

/** Options that `add` and `change` share. */
function withSettings(command: Command): Command {
  return command
    .option('--secret-file <path>', "file with the client's secret, '-' for standard input; none for a public client")
    .option('--vouches <text>', 'what it vouches for, shown below the button')
    .option('--scopes <scopes>', 'what is asked for')
    .option('--groups-claim <claim>', 'the claim with the groups')
    .option('--recheck <minutes>', 'groups are asked for again after so many minutes')
}

async function settingsOf(options: SettingOptions, stdin: NodeJS.ReadableStream) {
  const { label, clientId, secretFile, vouches, scopes, groupsClaim, recheck } = options
  return {
    ...(label !== undefined && { label }),
    ...(clientId !== undefined && { clientId }),
    ...(secretFile !== undefined && { clientSecret: await secretOf(secretFile, stdin) }),
    ...(vouches !== undefined && { vouches }),
    ...(scopes !== undefined && { scopes }),
    ...(groupsClaim !== undefined && { groupsClaim }),
    ...(recheck !== undefined && { recheckMinutes: wholeNumber(recheck, '--recheck') }),
  }
}

function registerIssuers(program: Command, context: CommandContext, stdin: NodeJS.ReadableStream): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const issuers = program.command('issuers').description('institutes by which people sign in, for the site admin')

  addVerb(issuers, 'list', { summary: 'Institutes, and whether they answer', example: 'cygnet issuers list' }).action(
    async () => {
      const { items, redirectUri, logoutUri } = await api().listIssuers()
      output.list({ items, nextCursor: null }, [
        'id',
        'label',
        'issuer',
        'state',
        { title: 'for', value: useOf },
        { title: 'people', value: ({ identities }) => identities, align: 'right' },
        { title: 'rules', value: ({ rules }) => rules, align: 'right' },
        { title: 'groups checked', value: checkedOf },
        { title: 'trouble', value: ({ problem }) => problem ?? '' },
      ])
      output.line(`Register this platform at an institute with: ${redirectUri} (redirect), ${logoutUri} (logout).`)
    },
  )

  withSettings(
    addVerb(issuers, 'add <issuer>', {
      summary: 'Check an institute and let people sign in by it',
      example: 'cygnet issuers add https://iam.example.org/ --label INFN --client-id cygnet --secret-file secret.txt',
    })
      .requiredOption('--label <name>', 'name on the sign-in button')
      .requiredOption('--client-id <id>', 'what the institute calls this platform'),
  ).action(async (issuer: string, options: SettingOptions & { label: string }) => {
    const settings = await settingsOf(options, stdin)
    const { scopes } = settings
    const check = await api().checkIssuer({ body: { issuer, ...(scopes !== undefined && { scopes }) } })
    for (const { level, text, hint } of check.findings) {
      const mark = { good: 'ok   ', note: 'note ', bad: 'WRONG' }[level]
      output.line(`${mark} ${text}${hint === undefined ? '' : ` ${hint}`}`)
    }
    const added = await api().addIssuer({ body: { ...settings, issuer, label: options.label } })
    output.line(`${added.label} is on the sign-in page now (${added.id}).`)
    if (output.isJson) output.json(added)
  })

  withSettings(
    addVerb(issuers, 'change <issuer>', {
      summary: 'Change the settings of an institute, its secret too; never its address',
      example: 'cygnet issuers change INFN --secret-file new-secret.txt',
    })
      .option('--label <name>', 'name on the sign-in button')
      .option('--client-id <id>', 'what the institute calls this platform'),
  ).action(async (name: string, options: SettingOptions) => {
    const { id } = await findIssuer(context, name)
    const changed = await api().changeIssuer({ params: { issuer: id }, body: await settingsOf(options, stdin) })
    output.line(`${changed.label} is changed.`)
    if (output.isJson) output.json(changed)
  })

  addVerb(issuers, 'trust <issuer>', {
    summary: 'Accept access tokens of an issuer for one place, from people whose identity there is linked here',
    example: 'cygnet issuers trust INFN --experiment cygno --prefix cygno-data/fts --audience https://s3.example.org',
  })
    .requiredOption('--experiment <name>', 'its tokens count in this experiment')
    .requiredOption('--prefix <bucket/prefix>', 'paths of their scopes begin here')
    .requiredOption('--audience <audience...>', 'what must stand in aud')
    .option('--scope <scope...>', 'accepted scopes; storage.read if not said')
    .option('--hours <hours>', 'they live so long at most; 6 if not said')
    .option('--old-types', 'tokens of type JWT too, as older issuers write')
    .option('--label <name>', 'its name, for an issuer that is not known yet')
    .action(async (name: string, options: TrustOptions) => {
      const { experiment, prefix, audience: audiences, scope = ['storage.read'], hours = '6', oldTypes } = options
      const trust = {
        experiment,
        prefix,
        audiences,
        scopes: scope.map(trustedScope),
        maxLifetimeMs: wholeNumber(hours, '--hours') * 3_600_000,
        tokenTypes: oldTypes === true ? ['at+jwt' as const, 'JWT' as const] : ['at+jwt' as const],
      }
      const known = (await api().listIssuers()).items.some((one) => [one.id, one.label, one.issuer].includes(name))
      const issuer = known
        ? await api().changeIssuer({
            params: { issuer: (await findIssuer(context, name)).id },
            body: { trust },
          })
        : await api().addIssuer({ body: { issuer: name, label: options.label ?? hostOf(name), trust } })
      output.line(`Access tokens of ${issuer.issuer} are accepted below ${prefix}.`)
      if (output.isJson) output.json(issuer)
    })

  for (const [verb, state, summary] of [
    ['enable', 'enabled', 'Let people sign in by an institute again'],
    ['disable', 'disabled', 'Disable an institute everywhere: sign-in, linking, checks, tokens; its sessions end'],
  ] as const) {
    addVerb(issuers, `${verb} <issuer>`, { summary, example: `cygnet issuers ${verb} INFN` }).action(
      async (name: string) => {
        const { id } = await findIssuer(context, name)
        const issuer = await api().setIssuerState({ params: { issuer: id }, body: { state } })
        output.line(`${issuer.label} is ${issuer.state}.`)
        if (output.isJson) output.json(issuer)
      },
    )
  }
}

interface RuleOptions {
  claim?: string
  value: string
  group: string
  role: string
  days?: string
}

function registerRules(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const rules = program.command('import-rules').description('which groups of which institute give which role')

  addVerb(rules, 'list', { summary: 'All import rules', example: 'cygnet import-rules list' }).action(async () => {
    const { items } = await api().listImportRules()
    output.list({ items, nextCursor: null }, [
      'id',
      { title: 'institute', value: ({ issuerLabel }: Rule) => issuerLabel },
      'claim',
      'value',
      'group',
      'role',
      { title: 'ends', value: endOf },
      { title: 'people', value: ({ holders }: Rule) => holders, align: 'right' },
    ])
  })

  const withRule = (verb: string, summary: string): Command =>
    addVerb(rules, `${verb} <issuer>`, {
      summary,
      example: `cygnet import-rules ${verb} INFN --value /cygno --group /cygno --role member`,
    })
      .option('--claim <name>', "the claim; the institute's groups if not said")
      .requiredOption('--value <value>', 'the value that must be in it')
      .requiredOption('--group <path>', '/experiment or /experiment/group')
      .requiredOption('--role <role>', personRoles.join(', '))
      .option('--days <days>', 'ends so many days after the last sign-in there; else when the value goes')

  withRule('preview', 'Who would get what, by what the institute said last; changes nothing').action(
    async (name: string, options: RuleOptions) => {
      const preview = await api().previewImportRule({ body: await ruleOf(name, options) })
      if (output.isJson) return output.json(preview)
      const print = (title: string, people: typeof preview.gain): void => {
        output.line(`${title}: ${people.length}`)
        for (const person of people) output.line(`  ${person.name} (${person.displayName}, there ${person.label})`)
      }
      print('Would get it', preview.gain)
      print('Have it already', preview.keep)
      output.line(`Known from this institute: ${preview.known}, of them never heard of: ${preview.unseen}`)
      const seen = preview.seenValues.map(({ value, people }) => `${value} (${people})`)
      output.line(seen.length === 0 ? 'This claim was never seen.' : `Values seen: ${seen.join(', ')}`)
    },
  )

  withRule('add', 'Make a rule; those who are known get the role at once').action(
    async (name: string, options: RuleOptions) => {
      const rule = await api().addImportRule({ body: await ruleOf(name, options) })
      output.line(`${rule.claim} = ${rule.value} gives ${rule.role} in ${rule.group}; ${rule.holders} have it now.`)
      if (output.isJson) output.json(rule)
    },
  )

  addVerb(rules, 'remove <rule>', {
    summary: 'Remove a rule; what it gave ends at once',
    example: 'cygnet import-rules remove 01a20af5-3fdc-7000-8b7b-44c6ad167d86',
  }).action(async (rule: string) => {
    const { ended } = await api().removeImportRule({ params: { rule } })
    output.line(`Removed; ${ended} people lost what it gave.`)
    if (output.isJson) output.json({ removed: true, ended })
  })

  async function ruleOf(name: string, { claim, value, group, role, days }: RuleOptions) {
    const issuer = await findIssuer(context, name)
    if (!(personRoles as readonly string[]).includes(role)) {
      throw identityFaults.invalidRule(`There is no role '${role}'.`, { hint: `Roles: ${personRoles.join(', ')}.` })
    }
    return {
      issuer: issuer.id,
      claim: claim ?? issuer.groupsClaim,
      value,
      group,
      role: role as PersonRole,
      lifetimeMs: days === undefined ? null : wholeNumber(days, '--days') * dayMs,
    }
  }
}

type TrustedScope = z.infer<typeof trustSchema>['scopes'][number]
const trustedScopes = trustSchema.shape.scopes.element.options

function trustedScope(name: string): TrustedScope {
  const found = trustedScopes.find((scope) => scope === name)
  if (found !== undefined) return found
  throw identityFaults.invalidIssuer(`'${name}' cannot be accepted from another issuer.`, {
    hint: `Scopes: ${trustedScopes.join(', ')}.`,
  })
}

function hostOf(address: string): string {
  if (URL.canParse(address)) return new URL(address).host
  throw identityFaults.noSuchIssuer(`There is no identity provider '${address}'.`, {
    hint: 'For a new one give its address, as it stands in the iss of its tokens.',
  })
}

/** By id, by the name on its button, or by its address. */
async function findIssuer(context: CommandContext, name: string): Promise<Issuer> {
  const { items } = await context.client(identityContract).listIssuers()
  const found = items.filter(({ id, label, issuer }) => [id, label, issuer].includes(name))
  if (found.length === 1) return found[0]!
  throw identityFaults.noSuchIssuer(
    found.length === 0 ? `There is no identity provider '${name}'.` : `Several identity providers are named '${name}'.`,
    { hint: 'Give its id: cygnet issuers list.' },
  )
}

/** Never an argument: the list of processes is everybody's to read. */
async function secretOf(path: string, stdin: NodeJS.ReadableStream): Promise<string> {
  const text = path === '-' ? await readAll(stdin) : await readFile(path, 'utf8')
  return text.trim()
}

function wholeNumber(text: string, option: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text)
  throw identityFaults.invalidIssuer(`${option} must be a whole number, not '${text}'.`, { hint: 'For example 60.' })
}

function useOf({ clientId, trust }: Issuer): string {
  const uses = [clientId === null ? '' : 'signing in', trust === null ? '' : `access tokens of ${trust.experiment}`]
  return uses.filter((use) => use !== '').join(', ')
}

function checkedOf({ clientId, recheckMinutes, oldestCheckAtMs }: Issuer): string {
  if (clientId === null) return ''
  const oldest = oldestCheckAtMs === null ? '' : `, oldest ${printTime(oldestCheckAtMs)}`
  return `every ${printDuration(recheckMinutes * 60_000)}${oldest}`
}

function endOf({ lifetimeMs }: Rule): string {
  return lifetimeMs === null ? 'with the value' : `${lifetimeMs / dayMs} days after the last sign-in`
}
