/** `cygnet support`: one file to send to who can help. */
import type { Command } from 'commander'
import { chmod, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { addVerb, type CommandContext } from '../../foundation/command-line.ts'
import { printConfig } from '../../foundation/config.ts'
import { faultLines } from '../../foundation/errors.ts'
import { findingsAt } from '../doctor-command.ts'
import { homeAt } from '../home.ts'
import { callControl } from '../platform.ts'
import { readSettings } from '../settings.ts'
import { writeSupportBundle } from './support.ts'

export function registerSupportCommand(program: Command, context: CommandContext): void {
  addVerb(program, 'support', {
    summary: 'write one file for who can help: findings, status, settings and logs, without any secret',
    example: 'cygnet support --out /tmp/cygnet-support.tar.gz',
  })
    .option('--out <file>', 'where to write it; default: cygnet-support-<time>.tar.gz here')
    .action(async ({ out }: { out?: string }) => {
      const { output } = context
      const home = homeAt(context.home)
      const time = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')
      const path = resolve(out ?? `cygnet-support-${time}Z.tar.gz`)
      // Made before it is filled, so that nobody else ever reads it.
      await writeFile(`${path}.unfinished`, '', { mode: 0o600 })
      const made = await writeSupportBundle({
        home,
        findings: await findingsAt(home),
        status: await callControl(home, 'GET', '/internal/status').catch((error: unknown) => faultLines(error)),
        settings: await readSettings(home, undefined).then(printConfig, (error: unknown) =>
          faultLines(error).join('\n'),
        ),
        out: path,
      })
      await chmod(path, 0o600)
      if (output.isJson) return output.json(made)
      for (const file of made.files) output.line(`  ${file}`)
      output.line(`${made.path}: no secret, but names of people, runs and files. Look at it before you send it.`)
    })
}
