import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { addVerb, type CommandContext } from '../foundation/command-line.ts'
import { printTime } from '../foundation/time.ts'
import { notebooksContract, type Session } from './contract.ts'
import { notebookErrors } from './errors.ts'

/** `cygnet sessions …`. */
export function registerSessionCommands(program: Command, context: CommandContext): void {
  const sessions = program.command('sessions').description('notebooks and terminals in the browser')
  const client = () => context.client(notebooksContract)
  const { output } = context

  addVerb(sessions, 'list', { summary: 'my sessions', example: 'cygnet sessions list --all' })
    .option('-e, --experiment <name>', 'of one experiment')
    .option('--all', 'also those that ended in the last 30 days')
    .action(async (options: { experiment?: string; all?: boolean }) => {
      const page = await client().listSessions({
        query: {
          all: options.all === true ? 'yes' : 'no',
          ...(options.experiment !== undefined && { experiment: options.experiment }),
        },
      })
      output.list(page, [
        'id',
        'experiment',
        'state',
        { title: 'since', value: (session) => printTime(session.sinceMs) },
        'reason',
      ])
    })

  addVerb(sessions, 'start', {
    summary: 'start my notebook session, or find it, and print an address that opens it once',
    example: 'cygnet sessions start -e demo --run sim:2 --open',
  })
    .requiredOption('-e, --experiment <name>', 'experiment')
    .option('--run <run>', 'with a starter notebook for this run, such as sim:2')
    .option('--open', "open it in this machine's browser")
    .action(async (options: { experiment: string; run?: string; open?: boolean }) => {
      let session = await client().startSession({
        body: { experiment: options.experiment, ...(options.run !== undefined && { run: options.run }) },
      })
      while (session.state === 'waiting' || session.state === 'starting') {
        output.progress(`${session.state}${session.reason === null ? '' : `: ${session.reason}`}`)
        await sleep(200)
        session = await client().showSession({ params: { session: session.id } })
      }
      output.progress('')
      requireRunning(session)
      const ticket = await client().createTicket({ params: { session: session.id } })
      if (output.isJson) output.json({ ...session, ticket })
      else {
        process.stdout.write(`${ticket.url}\n`)
        output.line('The address works once, within 30 seconds; `cygnet sessions start` gives another one.')
      }
      if (options.open === true)
        spawn('xdg-open', [ticket.url], { stdio: 'ignore', detached: true })
          .on('error', () => output.line('There is no browser to open here; use the address.'))
          .unref()
    })

  addVerb(sessions, 'stop <session>', {
    summary: 'stop a session; answers when nothing of it is alive',
    example: 'cygnet sessions stop 4f1d…',
  }).action(async (id: string) => {
    let session = await client().stopSession({ params: { session: id } })
    while (!['stopped', 'failed'].includes(session.state)) {
      output.progress(session.state)
      await sleep(200)
      session = await client().showSession({ params: { session: id } })
    }
    output.progress('')
    if (output.isJson) output.json(session)
    else output.line(session.state)
  })
}

function requireRunning(session: Session): void {
  if (session.state === 'running') return
  throw notebookErrors.notRunning(`The session is ${session.state}: ${session.reason ?? 'no reason is known'}.`, {
    hint: `See \`cygnet jobs logs ${session.jobId}\`.`,
  })
}
