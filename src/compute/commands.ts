import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { addVerb, type CommandContext } from '../foundation/command-line.ts'
import { printDuration, printTime } from '../foundation/time.ts'
import { computeContract, jobState, type Job } from './contract.ts'

interface ListOptions {
  experiment: string
  state?: string
  kind?: string
  run?: string
  limit: string
  cursor?: string
}

/** `cygnet jobs …`. */
export function registerJobCommands(program: Command, context: CommandContext): void {
  const jobs = program.command('jobs').description('work on the platform: reconstruction, commands, sessions')
  const client = () => context.client(computeContract)
  const { output } = context

  addVerb(jobs, 'list', {
    summary: 'jobs of an experiment, newest first',
    example: 'cygnet jobs list --experiment demo --state failed',
  })
    .requiredOption('-e, --experiment <name>', 'experiment')
    .option('--state <state>', `one of ${jobState.options.join(', ')}`)
    .option('--kind <kind>', 'reconstruction, command, session')
    .option('--run <run>', 'jobs about a run, such as sim:2')
    .option('-n, --limit <count>', 'at most so many', '50')
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async (options: ListOptions) => {
      const page = await client().listJobs({
        params: { experiment: options.experiment },
        query: {
          limit: Number(options.limit),
          ...(options.state !== undefined && { state: options.state as Job['state'] }),
          ...(options.kind !== undefined && { kind: options.kind }),
          ...(options.run !== undefined && { subject: options.run }),
          ...(options.cursor !== undefined && { cursor: options.cursor }),
        },
      })
      output.list(page, [
        'id',
        'kind',
        { title: 'about', value: (job) => job.subject ?? job.title },
        'state',
        { title: 'since', value: (job) => printTime(job.sinceMs) },
        { title: 'by', value: (job) => job.ownerName },
        'reason',
      ])
    })

  addVerb(jobs, 'show <job>', {
    summary: 'one job: state, reason, what it used',
    example: 'cygnet jobs show 01998c3e-…',
  }).action(async (id: string) => {
    const job = await client().showJob({ params: { job: id } })
    if (output.isJson) output.json(job)
    else for (const line of describe(job)) process.stdout.write(`${line}\n`)
  })

  addVerb(jobs, 'logs <job>', { summary: 'what a job printed', example: 'cygnet jobs logs --follow 01998c3e-…' })
    .option('-f, --follow', "go on until the job has ended; the exit code is then the job's outcome")
    .option('--attempt <number>', 'of an earlier attempt')
    .action(async (id: string, options: { follow?: boolean; attempt?: string }) => {
      if (options.follow !== true) {
        const response = await client().readLog({
          params: { job: id },
          query: options.attempt === undefined ? {} : { attempt: Number(options.attempt) },
        })
        for await (const chunk of response.body ?? []) process.stdout.write(chunk as Uint8Array)
        return
      }
      let last: Job | undefined
      for await (const { data } of client().followLog({ params: { job: id } })) {
        if (data.type === 'state') {
          last = data.job
          output.line(`${last.state}${last.reason === null ? '' : `: ${last.reason}`}`)
        } else if (output.isJson) output.json(data)
        else process.stdout.write(data.text)
      }
      if (last !== undefined && last.state !== 'done') process.exitCode = 1
    })

  addVerb(jobs, 'cancel <job>', {
    summary: 'end a job; answers when nothing of it is alive',
    example: 'cygnet jobs cancel 01998c3e-…',
  }).action(async (id: string) => {
    let job = await client().cancelJob({ params: { job: id } })
    if (['waiting', 'starting', 'running'].includes(job.state)) {
      for await (const { data } of client().followLog({
        params: { job: id },
        query: { from: `${Math.max(1, job.attempt)}:9007199254740991` },
      })) {
        if (data.type === 'state') job = data.job
      }
    }
    if (output.isJson) output.json(job)
    else output.line(`${job.state}${job.reason === null ? '' : `: ${job.reason}`}`)
  })

  addVerb(jobs, 'submit <argv...>', {
    summary: 'run a program on the platform',
    example: 'cygnet jobs submit -e demo -- python -c "print(1)"',
  })
    .requiredOption('-e, --experiment <name>', 'experiment')
    .option('--environment <name>', 'notebook (Python with numpy and friends) or system', 'notebook')
    .option('--title <text>', 'what lists show')
    .option('--cores <number>', 'cores', '1')
    .option('--memory <MiB>', 'memory in MiB', '1024')
    .option('--walltime <seconds>', 'ended after so long', '3600')
    .option('--key <text>', 'idempotency key: the same key gives the same job, once')
    .action(
      async (
        argv: string[],
        options: {
          experiment: string
          environment: string
          title?: string
          cores: string
          memory: string
          walltime: string
          key?: string
        },
      ) => {
        const job = await client().submitJob({
          params: { experiment: options.experiment },
          body: {
            argv,
            environment: options.environment,
            ...(options.title !== undefined && { title: options.title }),
            request: {
              cpuMilli: Math.round(Number(options.cores) * 1000),
              memoryMiB: Number(options.memory),
              walltimeMs: Math.round(Number(options.walltime) * 1000),
            },
            idempotencyKey: options.key ?? randomUUID(),
          },
        })
        if (output.isJson) output.json(job)
        else process.stdout.write(`${job.id}\n`)
      },
    )
}

function describe(job: Job): string[] {
  const lines = [
    `job        ${job.id}`,
    `what       ${job.title}${job.subject === null ? '' : ` (${job.subject})`}`,
    `kind       ${job.kind}, ${job.class}, by ${job.ownerName}, experiment ${job.experiment}`,
    `state      ${job.state} since ${printTime(job.sinceMs)}${job.untilMs === null ? '' : `, until ${printTime(job.untilMs)} at most`}`,
  ]
  if (job.reason !== null) lines.push(`reason     ${job.reason}`)
  if (job.place !== null) lines.push(`place      ${job.place} in line`)
  lines.push(`attempt    ${job.attempt}`)
  lines.push(
    `asked for  ${job.request.cpuMilli / 1000} cores, ${job.request.memoryMiB} MiB, ${printDuration(job.request.walltimeMs)}`,
  )
  if (job.used !== null) {
    lines.push(
      `used       ${job.used.cpuSeconds.toFixed(1)} s of cpu, ${Math.ceil(job.used.peakMemoryBytes / 1048576)} MiB at most, ${printDuration(job.used.wallSeconds * 1000)}`,
    )
  }
  for (const output of job.outputs) lines.push(`output     ${output.name} (${output.sizeBytes} bytes)`)
  return lines
}
