/** `cygnet identity`: why somebody may or may not, who can, and broken glass. */
import type { Command } from 'commander'
import { actions } from '../../foundation/contract.ts'
import { addVerb, type CommandContext } from '../../foundation/command-line.ts'
import { printTime } from '../../foundation/time.ts'
import { identityContract } from '../contract.ts'
import { identityFaults } from '../errors.ts'
import { longestGlassMs } from './contract.ts'

interface AskFlags {
  experiment?: string
  place?: string
  person?: string
  owner?: string
  group?: string
}

export function registerDecisionCommands(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const identity = program.command('identity').description('Who may do what, and why')

  addVerb(identity, 'why <action>', {
    summary: 'May I do this, or somebody else, and what stands in the way',
    example: 'cygnet identity why data.modify -e cygno --place cygno-work/plots/a.png --person anna',
  })
    .option('-e, --experiment <name>', 'the experiment')
    .option('--place <bucket/key>', 'where, for data')
    .option('--person <name>', 'account name or id; default: me')
    .option('--owner <name>', 'whose job or session it is')
    .option('--group <path>', 'the group whose people or policy are meant')
    .action(async (action: string, { person, ...flags }: AskFlags) => {
      const query = { ...flags, action: actionOf(action), ...(person === undefined ? {} : { subject: person }) }
      const found = await api().explainDecision({ query })
      if (output.isJson) return output.json(found)
      const where = found.experiment === null ? '' : ` in ${found.experiment}`
      output.line(`${found.subject.name} ${found.allow ? 'may' : 'may not'} ${action}${where}: ${found.reason}.`)
      if (found.grants.length === 0) return
      output.table(found.grants, [
        'role',
        'group',
        { title: 'says', value: ({ allow, reason }) => (allow ? 'yes' : reason) },
        { title: 'policies leave', value: ({ capabilities }) => capabilities?.join(' ') ?? 'all of the role' },
        { title: 'ends', value: ({ untilMs }) => (untilMs === null ? '' : printTime(untilMs)) },
      ])
    })

  addVerb(identity, 'who-can <action>', {
    summary: 'Everybody who may do this in an experiment, and by what',
    example: 'cygnet identity who-can data.modify -e cygno --place cygno-raw/lime',
  })
    .requiredOption('-e, --experiment <name>', 'the experiment')
    .option('--place <bucket/key>', 'where, for data')
    .option('--limit <count>', 'how many', '1000')
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async (action: string, flags: AskFlags & { experiment: string; limit: string; cursor?: string }) => {
      const page = await api().whoCan({ query: { ...flags, action: actionOf(action) } })
      output.list(page, ['name', 'displayName', 'kind', { title: 'by', value: ({ reason }) => reason }])
    })

  const glass = identity
    .command('break-glass')
    .description('Rights to read that site admins take in an emergency; the admins of the experiment see each of them')
  const columns = [
    'id',
    { title: 'who', value: ({ personName }: { personName: string }) => personName },
    'experiment',
    'reason',
    { title: 'from', value: ({ takenAtMs }: { takenAtMs: number }) => printTime(takenAtMs) },
    { title: 'until', value: ({ endsAtMs }: { endsAtMs: number }) => printTime(endsAtMs) },
    { title: 'open', value: ({ isOpen }: { isOpen: boolean }) => (isOpen ? 'yes' : '') },
  ] as const

  addVerb(glass, 'take', {
    summary: 'Read in an experiment for an hour at most; needs a proof in the browser within the last 15 minutes',
    example: 'cygnet identity break-glass take -e cygno --reason "run 12 cannot be opened by anybody"',
  })
    .requiredOption('-e, --experiment <name>', 'the experiment')
    .requiredOption('--reason <text>', 'why it cannot wait; its admins read it')
    .option('--minutes <count>', 'for how long', '60')
    .action(async ({ experiment, reason, minutes }: { experiment: string; reason: string; minutes: string }) => {
      const durationMs = Number(minutes) * 60_000
      if (!(durationMs >= 60_000 && durationMs <= longestGlassMs))
        throw identityFaults.invalidTime('A right to read is taken for one minute to an hour.')
      const taken = await api().breakGlass({ body: { experiment, reason, durationMs } })
      if (output.isJson) return output.json(taken)
      output.line(`You may read in ${experiment} until ${printTime(taken.endsAtMs)}. Its admins have been told.`)
      output.line(`To end it earlier: cygnet identity break-glass end ${taken.id}`)
    })

  addVerb(glass, 'list', { summary: 'Every time it was done', example: 'cygnet identity break-glass list -e cygno' })
    .option('-e, --experiment <name>', 'of this experiment; without it all, for site admins')
    .action(async ({ experiment }: { experiment?: string }) => {
      const { items } = await api().listBrokenGlass({ query: experiment === undefined ? {} : { experiment } })
      output.list({ items, nextCursor: null }, [...columns])
    })

  addVerb(glass, 'end <id>', {
    summary: 'End such a right now',
    example: 'cygnet identity break-glass end 0198c2d0-7a4e-7cc3-9f0a-5d2f3a1b7c11',
  }).action(async (id: string) => {
    const ended = await api().mendGlass({ params: { glass: id } })
    if (output.isJson) return output.json(ended)
    output.line(`${ended.personName} no longer reads in ${ended.experiment}.`)
  })
}

function actionOf(text: string) {
  const action = actions.find((one) => one === text)
  if (action !== undefined) return action
  throw identityFaults.invalidLimits(`There is no action '${text}'.`, { hint: `There are: ${actions.join(', ')}.` })
}
