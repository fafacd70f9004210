/** `cygnet bundle`: one file that brings Cygnet, or its agent, to a machine without network. */
import type { Command } from 'commander'
import { addVerb, type CommandContext } from '../../foundation/command-line.ts'
import { shellFaults } from '../errors.ts'
import { makeBundle } from './bundle.ts'

interface BundleFlags {
  out: string
  agent?: boolean
  python?: string
  notebooks: boolean
}

export function registerBundleCommand(program: Command, { output }: CommandContext, checkout: string): void {
  addVerb(program, 'bundle', {
    summary: 'write one file that installs Cygnet, or its DAQ agent, on a machine without network',
    example: 'cygnet bundle --out /media/usb --python 3.11,3.12',
  })
    .option('--out <path>', 'file or folder to write to', '.')
    .option('--agent', 'only what a DAQ machine needs')
    .option('--python <versions>', "Pythons of the machines it is for; default: this machine's")
    .option('--no-notebooks', 'without the notebook environment, 150 MB smaller; notebooks then need a package index')
    .action(async ({ out, agent = false, python, notebooks }: BundleFlags) => {
      const pythons = python?.split(',').map((version) => version.trim())
      if (pythons?.some((version) => !/^3\.\d+$/.test(version)))
        throw shellFaults.usage(`--python takes versions such as 3.11,3.12, and not '${python}'.`)
      const made = await makeBundle({
        checkout,
        kind: agent ? 'agent' : 'platform',
        out,
        ...(pythons === undefined ? {} : { pythons }),
        withoutNotebooks: !notebooks,
        onProgress: (message) => output.progress(message),
      })
      output.progress('')
      if (output.isJson) return output.json(made)
      output.line(`${made.path}, ${Math.round(made.sizeBytes / 1e6)} MB`)
      output.line(`sha256 ${made.sha256}`)
      output.line(
        agent
          ? 'On the DAQ machine: tar xzf it, run packaging/check-host.sh, then bin/cygnet daq check.'
          : 'On the machine: tar xzf it, then run its install.sh.',
      )
    })
}
