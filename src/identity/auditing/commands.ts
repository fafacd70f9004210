/** `cygnet audit`: who did what, the same as a file, and whether it is whole. */
import type { Command } from 'commander'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { addVerb, type CommandContext } from '../../foundation/command-line.ts'
import { printTime } from '../../foundation/time.ts'
import { identityContract } from '../contract.ts'
import { identityFaults } from '../errors.ts'
import { beginning, faultsOf, type Head } from './chain.ts'
import { rowOfLine } from './export-lines.ts'

interface FilterFlags {
  experiment?: string
  mine?: boolean
  actor?: string
  action?: string
  target?: string
  address?: string
  denied?: boolean
  from?: string
  until?: string
}

export function registerAuditCommands(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const audit = program.command('audit').description('Who did what, when and from where, and what was denied')

  withFilter(
    addVerb(audit, 'list', { summary: 'Rows of the audit, newest first', example: 'cygnet audit list --actor anna' }),
  )
    .option('--limit <count>', 'how many', '50')
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async (flags: FilterFlags & { limit: string; cursor?: string }) => {
      const { limit, cursor } = flags
      const query = { ...filterOf(flags), limit, ...(cursor === undefined ? {} : { cursor }) }
      output.list(await api().listAudit({ query }), [
        { title: 'time', value: ({ atMs }) => printTime(atMs) },
        { title: 'who', value: ({ actorName }) => actorName },
        { title: 'what', value: ({ action, decision }) => (decision === 'deny' ? `${action} (denied)` : action) },
        { title: 'on', value: ({ target }) => target },
        { title: 'experiment', value: ({ experiment }) => experiment },
        { title: 'from', value: ({ address }) => address },
      ])
    })

  withFilter(
    addVerb(audit, 'export', {
      summary: 'The same rows as JSON lines, oldest first, with the hashes that bind them',
      example: 'cygnet audit export --out audit.jsonl --from 2026-01-01',
    }),
  )
    .requiredOption('--out <file>', 'a file that is not there yet; only you may read it')
    .action(async (flags: FilterFlags & { out: string }) => {
      const response = await api().exportAudit({ query: filterOf(flags) })
      const file = await open(flags.out, 'wx', 0o600)
      let sizeBytes = 0
      try {
        for await (const part of response.body ?? []) {
          await file.write(part as Uint8Array)
          sizeBytes += (part as Uint8Array).length
        }
        await file.sync()
      } finally {
        await file.close()
      }
      if (output.isJson) return output.json({ file: flags.out, sizeBytes })
      output.line(`Written to ${flags.out}. Look it over with: cygnet audit verify --file ${flags.out}`)
    })

  addVerb(audit, 'verify', {
    summary: 'Is the audit whole? Exit code 1 if rows are missing or changed',
    example: 'cygnet audit verify',
  })
    .option('--file <file>', 'an exported or a daily file instead of the platform')
    .option('--accept <reason>', 'what is missing now is known, for this reason; goes into the audit')
    .action(async ({ file, accept }: { file?: string; accept?: string }) => {
      if (file !== undefined) return await verifyFile(file)
      const report =
        accept === undefined ? await api().verifyAudit() : await api().acceptAuditLoss({ body: { reason: accept } })
      if (output.isJson) output.json(report)
      else {
        const { rows, files, faults } = report
        if (faults.length > 0)
          output.table(faults, [
            'sequence',
            'what',
            { title: 'accepted', value: ({ accepted }) => (accepted ? 'yes' : 'no') },
          ])
        if (report.whole) output.line(`The audit is whole: ${rows} rows, ${files} daily files.`)
      }
      if (!report.whole) {
        throw identityFaults.auditBroken('Rows of the audit are missing or changed.', {
          hint: 'If an older database was restored on purpose: cygnet audit verify --accept REASON. Otherwise compare with copies of the daily files.',
        })
      }
    })

  async function verifyFile(path: string): Promise<void> {
    const { rows, gaps, faults } = await lookThrough(path)
    if (output.isJson) output.json({ whole: faults.length === 0, rows, gaps, faults })
    else {
      if (faults.length > 0) output.table(faults, ['sequence', 'what'])
      const without = gaps === 0 ? 'none is missing in between' : `${gaps} gaps, as in an export of only some rows`
      if (faults.length === 0) output.line(`${rows} rows, each as it was written; ${without}.`)
    }
    if (faults.length > 0) throw identityFaults.auditBroken(`${path} was changed.`)
  }
}

/** Gaps are what a filter leaves, too; changed rows are faults. */
async function lookThrough(path: string) {
  const faults: { sequence: number; what: string }[] = []
  let [rows, gaps]: [number, number] = [0, 0]
  let head: Head | undefined
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    if (isFrame(line)) continue
    let row
    try {
      row = rowOfLine(line)
    } catch {
      faults.push({ sequence: (head?.sequence ?? 0) + 1, what: 'this line is no row' })
      continue
    }
    rows += 1
    const before = head ?? { sequence: row.sequence - 1, hash: row.prev_hash }
    const isGap = row.sequence > before.sequence + 1
    if (isGap) gaps += 1
    faults.push(...faultsOf(isGap ? { sequence: row.sequence - 1, hash: row.prev_hash } : before, row))
    if (row.sequence === 1 && row.prev_hash !== beginning.hash)
      faults.push({ sequence: 1, what: 'it is not the first row' })
    head = { sequence: row.sequence, hash: row.hash }
    if (faults.length > 100) break
  }
  return { rows, gaps, faults }
}

/** First and last line of a daily file. */
function isFrame(line: string): boolean {
  return line.startsWith('{"cygnet":"audit",') || line.startsWith('{"rows":')
}

function withFilter(verb: Command): Command {
  return verb
    .option('--experiment <name>', 'only in this experiment')
    .option('--mine', 'only what I did or what was done to me')
    .option('--actor <name>', 'who did it: name or id')
    .option('--action <action>', 'what: sign-in, role-granted, request-denied, …')
    .option('--target <target>', 'on whom or what')
    .option('--address <address>', 'from where')
    .option('--denied', 'only what was denied')
    .option('--from <time>', 'since: 2026-11-23, or with a time of day and zone')
    .option('--until <time>', 'before')
}

function filterOf({ experiment, mine, actor, action, target, address, denied, from, until }: FilterFlags) {
  return {
    ...(experiment !== undefined && { experiment }),
    ...(mine === true && { mine }),
    ...(actor !== undefined && { actor }),
    ...(action !== undefined && { action }),
    ...(target !== undefined && { target }),
    ...(address !== undefined && { address }),
    ...(denied === true && { decision: 'deny' as const }),
    ...(from !== undefined && { fromMs: timeOf(from) }),
    ...(until !== undefined && { untilMs: timeOf(until) }),
  }
}

function timeOf(text: string): number {
  const timeMs = Date.parse(text)
  if (/^\d{4}-\d\d-\d\d/.test(text) && timeMs >= 0) return timeMs
  throw identityFaults.invalidTime(`'${text}' is no time.`, { hint: 'Write 2026-11-23 or 2026-11-23T14:00Z.' })
}
