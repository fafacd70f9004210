/** `cygnet identity factors` and `cygnet people …` about names and lost factors: everything over the wire, like anybody else. */
import type { Command } from 'commander'
import type { z } from 'zod'
import { addVerb, type CommandContext } from '../../foundation/command-line.ts'
import { printTime } from '../../foundation/time.ts'
import { identityContract } from '../contract.ts'
import type { personFactorsSchema } from './contract.ts'

type Shown = z.infer<typeof personFactorsSchema>

export function registerFactorCommands(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(identityContract)
  const identity = groupOf(program, 'identity', 'who I am here: sign-in, institutes, passkeys')
  const people = groupOf(program, 'people', 'people: their names, accounts and lost passkeys')
  const find = async (name: string) => await api().findPerson({ params: { name } })

  addVerb(identity, 'factors', { summary: 'By what I can sign in', example: 'cygnet identity factors' }).action(
    async () => print(await api().listFactors()),
  )

  addVerb(people, 'find <name>', {
    summary: 'Whose name or alias this is',
    example: 'cygnet people find Giovanni.Rossi',
  }).action(async (name: string) => {
    const found = await find(name)
    if (output.isJson) return output.json(found)
    output.line(`${found.name} (${found.displayName})${found.aliases.map((alias) => `, ${alias}`).join('')}`)
  })

  addVerb(people, 'factors <name>', {
    summary: 'By what somebody can sign in',
    example: 'cygnet people factors grossi',
  }).action(async (name: string) => {
    const { id } = await find(name)
    print(await api().showPersonFactors({ params: { person: id } }))
  })

  addVerb(people, 'reset-factors <name>', {
    summary: 'For somebody who lost everything: no factor of his is left; prints a recovery link',
    example: 'cygnet people reset-factors grossi',
  }).action(async (name: string) => {
    const found = await find(name)
    const link = await api().recoverPerson({ params: { person: found.id } })
    if (output.isJson) return output.json({ ...link, person: found.name })
    output.line(`Everything by which ${found.name} signed in is gone. Give him this link yourself, not by mail:`)
    output.line(link.url)
    output.line(`It works once, until ${printTime(link.expiresAtMs)}, and lets him make a new passkey or password.`)
  })

  addVerb(people, 'alias <name> <alias>', {
    summary: 'A further name of somebody, for signing in and searching; dots and capitals allowed',
    example: 'cygnet people alias grossi Giovanni.Rossi',
  })
    .option('--remove', 'take it away; it stays reserved for him')
    .action(async (name: string, alias: string, { remove }: { remove?: boolean }) => {
      const params = { person: (await find(name)).id }
      const { aliases } =
        remove === true
          ? await api().removeAlias({ params: { ...params, alias } })
          : await api().addAlias({ params, body: { alias } })
      if (output.isJson) return output.json({ name, aliases })
      output.line(aliases.length === 0 ? `${name} has no alias.` : `${name} is also called ${aliases.join(', ')}.`)
    })

  function print(shown: Shown): void {
    if (output.isJson) return output.json(shown)
    const lines = [
      ...shown.passkeys.map(({ label, createdAtMs, suspectAtMs }) => ({
        what: 'passkey',
        name: label,
        since: printTime(createdAtMs),
        note: suspectAtMs === null ? '' : 'copied: refused',
      })),
      ...(shown.password === null
        ? []
        : [
            {
              what: 'password',
              name: '',
              since: printTime(shown.password.setAtMs),
              note: [
                shown.authenticator === null ? 'useless without an authenticator app' : 'with authenticator app',
                ...(shown.password.codesGuessedAtMs === null ? [] : ['somebody else knows it']),
              ].join('; '),
            },
          ]),
      ...(shown.recoveryCodes === null
        ? []
        : [
            {
              what: 'recovery codes',
              name: '',
              since: printTime(shown.recoveryCodes.createdAtMs),
              note: `${shown.recoveryCodes.left} left`,
            },
          ]),
    ]
    if (lines.length === 0) return output.line('None: only one-time links and institutes.')
    output.table(lines, ['what', 'name', 'since', 'note'])
  }
}

/** Several areas put verbs below the same word. */
function groupOf(program: Command, name: string, description: string): Command {
  return program.commands.find((command) => command.name() === name) ?? program.command(name).description(description)
}
