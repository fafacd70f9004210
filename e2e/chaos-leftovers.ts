/** What a stopped platform must not leave behind on the machine: processes, cgroups, temporary files. */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const freshMs = 120_000

/** With `home` the folder of an installation that was stopped after its last job had ended. */
export function findLeftovers(home: string): string[] {
  const living = processesOf(home).map(({ pid, line }) => `process ${pid} lives on: ${line}`)
  return [...living, ...cgroupsOf(home), ...temporaryFilesOf(home)]
}

/** Ends everything of an installation after a campaign that did not come to its end. */
export function endProcessesOf(home: string): void {
  for (const { pid } of processesOf(home)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
  }
}

function processesOf(home: string): { pid: number; line: string }[] {
  const found: { pid: number; line: string }[] = []
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (Number(pid) === process.pid || Number(pid) === process.ppid) continue
    const [line, environment] = ['cmdline', 'environ'].map((name) => {
      try {
        return readFileSync(`/proc/${pid}/${name}`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return ''
      }
    })
    if (line!.includes(home) || environment!.includes(home)) found.push({ pid: Number(pid), line: line!.slice(0, 200) })
  }
  return found
}

/** Groups of attempts are named as their folders. */
function cgroupsOf(home: string): string[] {
  const attempts = new Set(readdirSync(join(home, 'jobs')).filter((name) => /\.\d+$/.test(name)))
  const found: string[] = []
  const look = (folder: string, depth: number): void => {
    for (const entry of entriesOf(folder)) {
      if (!entry.isDirectory()) continue
      if (attempts.has(entry.name)) found.push(`cgroup ${join(folder, entry.name)} is left`)
      else if (depth < 6) look(join(folder, entry.name), depth + 1)
    }
  }
  look('/sys/fs/cgroup', 0)
  return found
}

function temporaryFilesOf(home: string): string[] {
  const found: string[] = []
  const hidden = join(home, 'data', '.cygnet')
  for (const name of ['tmp', 'attic']) for (const file of filesBelow(join(hidden, name))) found.push(`${file} is left`)
  for (const bucket of entriesOf(join(hidden, 'upload')))
    for (const upload of entriesOf(join(hidden, 'upload', bucket.name))) {
      const folder = join(hidden, 'upload', bucket.name, upload.name)
      // One whose beginning was cut short goes at the first start a minute later.
      const isFresh = Date.now() - statSync(folder).mtimeMs < freshMs && !existsSync(join(folder, 'upload.json'))
      if (!isFresh) found.push(`the upload ${folder} is left`)
    }
  for (const name of ['run', 'database', 'jobs', 'data']) {
    for (const file of filesBelow(join(home, name)).filter((path) => !path.startsWith(join(hidden, 'upload'))))
      if (/\.tmp$|\.\d+\.tmp|\.partial$/.test(file)) found.push(`temporary file ${file} is left`)
  }
  return found
}

function filesBelow(folder: string): string[] {
  return entriesOf(folder).flatMap((entry) => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : [path]
  })
}

function entriesOf(folder: string) {
  try {
    return statSync(folder).isDirectory() ? readdirSync(folder, { withFileTypes: true }) : []
  } catch {
    return []
  }
}
