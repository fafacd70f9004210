/** `cygnet groups …` and `cygnet policy …`: everything over the wire, like anybody else. */
import type { Command } from 'commander'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { text as readAll } from 'node:stream/consumers'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { addVerb, type CommandContext } from '../../foundation/command-line.ts'
import { printTime } from '../../foundation/time.ts'
import { identityContract } from '../contract.ts'
import { identityFaults } from '../errors.ts'
import type { PersonRole } from '../subject.ts'
import { groupPathSchema, policySchema, type policyPreviewSchema } from './contract.ts'

type Preview = z.infer<typeof policyPreviewSchema>

/** What `policy show` prints and `policy apply` reads. */
const documentSchema = z.strictObject({
  group: groupPathSchema,
  /** The version that was edited. */
  version: z.number().int().min(0),
  policy: policySchema,
})
type PolicyDocument = z.infer<typeof documentSchema>

/** `editor`: a shell command that is given a file. */
export function registerGroupCommands(
  program: Command,
  context: CommandContext,
  editor = process.env.VISUAL ?? process.env.EDITOR ?? 'vi',
): void {
  registerGroups(program, context)
  registerPolicy(program, context, editor)
}

function registerGroups(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const groups = program.command('groups').description('groups of an experiment and who is in them')

  addVerb(groups, 'list <experiment>', { summary: 'the tree of groups', example: 'cygnet groups list cygno' })
    .option('--archived', 'archived ones too')
    .action(async (experiment: string, { archived }: { archived?: boolean }) => {
      const page = await api().listGroups({ params: { experiment }, query: { archived: archived ?? false } })
      output.list(page, [
        'group',
        'title',
        { title: 'members', value: ({ members }) => members, align: 'right' },
        { title: 'mine', value: ({ mine }) => mine.join(', ') },
        { title: 'policy', value: ({ policyVersion }) => `version ${policyVersion}` },
        {
          title: '',
          value: (group) =>
            [...(group.optional ? ['asked for'] : []), ...(group.archived ? ['archived'] : [])].join(', '),
        },
      ])
    })

  addVerb(groups, 'show <group>', {
    summary: 'who is in a group',
    example: 'cygnet groups show /cygno/analysis',
  }).action(async (group: string) => showMembers((await api().listMembers({ query: { group } })).items))

  addVerb(groups, 'create <group>', {
    summary: 'a new group below an existing one',
    example: 'cygnet groups create /cygno/analysis/tracks --title "Track finding"',
  })
    .option('--title <text>', 'what it is for', '')
    .option('--optional', 'its rights are in a token only when asked for')
    .option('--policy <file>', 'YAML or JSON with its policy; - for standard input')
    .action(async (group: string, options: { title: string; optional?: boolean; policy?: string }) => {
      const policy = options.policy === undefined ? {} : { policy: policyIn(await readDocument(options.policy)) }
      const made = await api().createGroup({
        body: { group, title: options.title, optional: options.optional ?? false, ...policy },
      })
      output.line(`${made.group} is there. People come in with: cygnet groups add ${group} NAME`)
      if (output.isJson) output.json(made)
    })

  addVerb(groups, 'archive <group>', {
    summary: 'archive a group and all below it: memberships stay and give nothing',
    example: 'cygnet groups archive /cygno/old',
  })
    .option('--undo', 'take it out of the archive')
    .action(async (group: string, { undo }: { undo?: boolean }) => {
      const after = await api().archiveGroup({ body: { group, archived: undo !== true } })
      output.line(undo === true ? `${group} is open again.` : `${group} is archived.`)
      if (output.isJson) output.json(after)
    })

  addVerb(groups, 'add <group> <person>', {
    summary: 'give a person a role in a group, or another end',
    example: 'cygnet groups add /cygno/analysis anna --role member --until 2027-06-30',
  })
    .option('--role <role>', 'manager, operator, member or guest', 'member')
    .option('--until <day>', 'last day, such as 2027-06-30, or a count of days, such as 90d')
    .action(async (group: string, person: string, options: { role: string; until?: string }) => {
      const untilMs = options.until === undefined ? null : endOf(options.until, Date.now())
      const body = { group, person, role: options.role as PersonRole, untilMs }
      showMembers((await api().setMember({ body })).items)
    })

  addVerb(groups, 'remove <group> <person>', {
    summary: 'take a person out of a group',
    example: 'cygnet groups remove /cygno/analysis anna',
  }).action(async (group: string, person: string) => {
    showMembers((await api().setMember({ body: { group, person, role: null } })).items)
  })

  function showMembers(items: Awaited<ReturnType<ReturnType<typeof api>['listMembers']>>['items']): void {
    output.list({ items, nextCursor: null }, [
      'name',
      { title: 'person', value: ({ displayName }) => displayName },
      'role',
      { title: 'until', value: ({ untilMs }) => (untilMs === null ? 'no end' : printTime(untilMs)) },
      { title: 'by', value: ({ source }) => (source === 'direct' ? '' : source) },
    ])
  }
}

function registerPolicy(program: Command, context: CommandContext, editor: string): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const policy = program.command('policy').description('what a group may do: ceiling, grants, limits, who may sponsor')

  addVerb(policy, 'show <group>', {
    summary: 'the policy as a document to edit and apply',
    example: 'cygnet policy show /cygno/analysis > analysis.yaml',
  })
    .option('--effective', 'what is left of it below the ceilings above')
    .option('--at <version>', 'an older version')
    .action(async (group: string, options: { effective?: boolean; at?: string }) => {
      const shown = await api().showPolicy({ query: { group } })
      const policyShown = options.effective === true ? shown.effective : shown.policy
      const older = options.at === undefined ? undefined : await versionOf(group, Number(options.at))
      const document = { group, version: shown.version, policy: older ?? policyShown }
      if (output.isJson) output.json(document)
      else process.stdout.write(textOf(document))
    })

  addVerb(policy, 'preview <file>', {
    summary: 'who would gain or lose what; changes nothing',
    example: 'cygnet policy preview analysis.yaml',
  }).action(async (file: string) => {
    const { group, policy: wanted } = documentIn(await readDocument(file))
    tell(await api().previewPolicy({ body: { group, policy: wanted } }))
  })

  addVerb(policy, 'apply <file>', {
    summary: 'make a document the policy; refused if somebody else was faster',
    example: 'cygnet policy apply analysis.yaml --note "guests for the summer school"',
  })
    .option('--note <text>', 'why', '')
    .action(async (file: string, { note }: { note: string }) => {
      tellApplied(await apply(documentIn(await readDocument(file)), note))
    })

  addVerb(policy, 'edit <group>', {
    summary: 'edit the policy in $EDITOR, see what it would do, then apply it',
    example: 'cygnet policy edit /cygno/analysis --note "more cores"',
  })
    .option('--note <text>', 'why', '')
    .option('--yes', 'apply without asking')
    .action(async (group: string, options: { note: string; yes?: boolean }) => {
      const { version, policy: present } = await api().showPolicy({ query: { group } })
      const edited = documentIn(await inEditor(editor, textOf({ group, version, policy: present })))
      const preview = await api().previewPolicy({ body: { group, policy: edited.policy } })
      if (preview.differences.length === 0) return output.line('Nothing is different.')
      if (!output.isJson) tell(preview)
      if (options.yes !== true && !(await confirmed('Apply? [y/N] '))) return output.line('Nothing was changed.')
      tellApplied(await apply(edited, options.note))
    })

  addVerb(policy, 'history <group>', {
    summary: 'every version, with what it changed',
    example: 'cygnet policy history /cygno/analysis',
  })
    .option('-n, --limit <count>', 'at most so many', '20')
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async (group: string, { limit, cursor }: { limit: string; cursor?: string }) => {
      const query = { group, limit: Number(limit), ...(cursor === undefined ? {} : { cursor }) }
      output.list(await api().listPolicyVersions({ query }), [
        { title: 'version', value: ({ version }) => version, align: 'right' },
        { title: 'at', value: ({ atMs }) => printTime(atMs) },
        { title: 'by', value: ({ author }) => author.name },
        { title: 'what', value: ({ differences }) => differences.join('; ') },
        'note',
      ])
    })

  addVerb(policy, 'undo <group>', {
    summary: 'a new version equal to an older one (the one before, unless you say which)',
    example: 'cygnet policy undo /cygno/analysis --to 3',
  })
    .option('--to <version>', 'which')
    .option('--note <text>', 'why', '')
    .action(async (group: string, { to, note }: { to?: string; note: string }) => {
      const { version } = await api().showPolicy({ query: { group } })
      const toVersion = to === undefined ? Math.max(0, version - 1) : Number(to)
      tellApplied(await api().undoPolicy({ body: { group, toVersion, ifVersion: version, note } }))
    })

  async function apply({ group, version, policy: wanted }: PolicyDocument, note: string) {
    return await api().applyPolicy({ body: { group, policy: wanted, ifVersion: version, note } })
  }

  async function versionOf(group: string, version: number) {
    const { items } = await api().listPolicyVersions({ query: { group, limit: 1, cursor: String(version + 1) } })
    if (items[0]?.version === version) return items[0].policy
    throw identityFaults.noSuchVersion(`The policy of ${group} has no version ${version}.`, {
      hint: `See: cygnet policy history ${group}`,
    })
  }

  function tellApplied(answer: Preview & { applied: { version: number } }): void {
    if (output.isJson) return output.json(answer)
    for (const line of wordsOf(answer)) output.line(line)
    output.line(`${answer.group} has version ${answer.applied.version} of its policy now.`)
  }

  function tell(preview: Preview): void {
    if (output.isJson) output.json(preview)
    else for (const line of wordsOf(preview)) output.line(line)
  }
}

function wordsOf({ differences, changes, running, keys }: Preview): string[] {
  const people = changes.flatMap(({ name, group, role, lost, gained, limits, until }) => [
    `${name} (${role} of ${group})`,
    ...lost.map((text) => `  - ${text}`),
    ...gained.map((text) => `  + ${text}`),
    ...(until === undefined ? [] : [`  until ${until.afterMs === null ? 'no end' : printTime(until.afterMs)}`]),
    ...limits.map((text) => `  ${text}`),
  ])
  return [
    ...(differences.length === 0 ? ['Nothing is different.'] : differences),
    ...(people.length === 0 ? ['Nobody gains or loses anything.'] : people),
    ...running.map(
      (work) => `${work.kind} '${work.title}' of ${work.personName}${work.stops ? ' stops' : ' goes on with less'}`,
    ),
    ...keys.map(
      (key) => `key ${key.accessKeyId}${key.label === '' ? '' : ` (${key.label})`} of ${key.ownerName} opens less`,
    ),
  ]
}

function textOf(document: PolicyDocument): string {
  return `# Policy of ${document.group}. A capability is 'sessions.start', or 'data.read:/bucket/folder/**'.\n${stringify(document)}`
}

/** YAML, of which JSON is a part. '-' is standard input. */
async function readDocument(file: string): Promise<unknown> {
  return parsed(file === '-' ? await readAll(process.stdin) : await readFile(file, 'utf8'))
}

function parsed(text: string): unknown {
  try {
    return parse(text)
  } catch (cause) {
    throw identityFaults.invalidPolicy(`This is neither YAML nor JSON: ${(cause as Error).message}`, { cause })
  }
}

function documentIn(value: unknown): PolicyDocument {
  return checked(documentSchema, value)
}

/** A whole document, or the policy alone. */
function policyIn(value: unknown): PolicyDocument['policy'] {
  const isDocument = typeof value === 'object' && value !== null && 'policy' in value
  return checked(policySchema, isDocument ? value.policy : value)
}

function checked<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issues = result.error.issues
    .slice(0, 5)
    .map(({ path, message }) => `${path.join('.') || 'document'}: ${message}`)
  throw identityFaults.invalidPolicy(`This is no policy: ${issues.join('; ')}.`, {
    hint: 'Begin with: cygnet policy show GROUP > policy.yaml',
  })
}

async function inEditor(editor: string, text: string): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'cygnet-policy-'))
  const file = join(folder, 'policy.yaml')
  try {
    await writeFile(file, text, { mode: 0o600 })
    const { status } = spawnSync('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], { stdio: 'inherit' })
    if (status !== 0)
      throw identityFaults.invalidPolicy(`The editor (${editor}) did not end well; nothing was changed.`)
    return parsed(await readFile(file, 'utf8'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function confirmed(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test((await lines.question(question)).trim())
  } finally {
    lines.close()
  }
}

/** '2027-06-30' is to its end, in UTC; '90d' from now. */
export function endOf(text: string, nowMs: number): number {
  const days = /^(\d{1,4})d$/.exec(text)?.[1]
  if (days !== undefined) return nowMs + Number(days) * 86_400_000
  const atMs = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T23:59:59Z`) : Number.NaN
  if (!Number.isNaN(atMs)) return atMs
  throw identityFaults.invalidMembership(`'${text}' is no day.`, {
    hint: 'Write 2027-06-30, or 90d for 90 days from now.',
  })
}
