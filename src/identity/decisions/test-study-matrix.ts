/**
 * For tests: the matrix once more, written from section 3.2 of the design study, things before actions, and not from
 * the code. `y` yes, `n` no, `c` a machine only if that was declared for it.
 */
import type { Action } from '../../foundation/contract.ts'

export const studyColumns = [
  'guest',
  'member',
  'operator',
  'data-manager',
  'manager',
  'exp-admin',
  'auditor',
  'client',
  'break-glass',
  'site-admin',
  /** What a session or job may at most, whoever it works for. */
  'work',
] as const
export type StudyColumn = (typeof studyColumns)[number]

export interface StudyRow {
  thing: string
  action: Action
  /** Only of raw data, or only of all other. */
  raw?: boolean
  /** Only of one's own, or only of somebody else's. */
  own?: boolean
  cells: Record<StudyColumn, 'y' | 'n' | 'c'>
}

//                                        guest
//                                        | member
//                                        | | operator
//                                        | | | data-manager
//                                        | | | | manager
//                                        | | | | | exp-admin
//                                        | | | | | | auditor
//                                        | | | | | | | client
//                                        | | | | | | | | break-glass
//                                        | | | | | | | | | site-admin
//                                        | | | | | | | | | |  work
const text = `
raw data           data.read              y y y y y y n c y n  y
raw data           data.create raw        n n y y n y n y n n  n
raw data           data.modify raw        n n n y n y n n n n  n
analysis           data.create work       n y y y y y n y n n  y
analysis           data.modify work       n y y y y y n n n n  y
share link         share.create own       n y y y y y n n n n  n
share link         share.create other     n n n y n y n n n n  n
notebook           sessions.start         y y y y y y n n n n  n
notebook           sessions.stop own      y y y y y y n n n y  n
notebook           sessions.stop other    n n n n y y n n n y  n
job                jobs.submit            y y y y y y n c n n  y
job                jobs.read              y y y y y y n c y y  y
job                jobs.cancel own        y y y y y y n y n y  y
job                jobs.cancel other      n n n n y y n n n y  y
campaign           reconstruction.run     n y y y y y n c n n  y
run control        runs.control           n n y n y y n c n n  n
run control        daq.write              n n y n n y n y n n  n
logbook            logbook.read           y y y y y y n c y n  y
logbook            logbook.write          n y y y y y n c n n  y
tape               tape.recall            n y y y y y n c n n  y
tape               data.archive           n n n y n y n c n n  n
people of a group  people.manage          n n n n y y n n n y  n
policy             policy.edit            n n n n y y n n n y  n
machine, bucket    experiment.admin       n n n n n y n n n y  n
audit              audit.read own         y y y y y y y n n y  n
audit              audit.read other       n n n n y y y n n y  n
site               site.admin             n n n n n n n n n y  n
site               ops.read               n n n n n n n n n y  n
own keys           credentials.create     y y y y y y y n y y  n
`

export const studyMatrix: readonly StudyRow[] = text
  .trim()
  .split('\n')
  .map((line) => {
    const [thing = '', rule = '', letters = ''] = line.match(/^(.{19})(\S+(?: \w+)?)\s+((?:[ync]\s*)+)$/)!.slice(1)
    const [action, only] = rule.split(' ')
    const cells = letters.split(/\s+/)
    if (cells.length !== studyColumns.length) throw new Error(`not ${studyColumns.length} cells: ${line}`)
    return {
      thing: thing.trim(),
      action: action as Action,
      ...(only === 'raw' || only === 'work' ? { raw: only === 'raw' } : {}),
      ...(only === 'own' || only === 'other' ? { own: only === 'own' } : {}),
      cells: Object.fromEntries(studyColumns.map((column, index) => [column, cells[index]])) as StudyRow['cells'],
    }
  })
