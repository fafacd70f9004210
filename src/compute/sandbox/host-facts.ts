/** Gathers what `host-findings.ts` judges. Changes nothing; needs no rights. */
import { existsSync } from 'node:fs'
import { access, constants, readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { isSetuid, versionOf } from './bubblewrap.ts'
import { watchedSysctls, type HostFacts } from './host-findings.ts'

export async function gatherHostFacts(options: {
  searchPath: string
  programFolders: string[]
  trial: HostFacts['trial']
}): Promise<HostFacts> {
  const sysctl: HostFacts['sysctl'] = {}
  for (const name of watchedSysctls) {
    const value = (await textOf(`/proc/sys/${name.replaceAll('.', '/')}`)).trim()
    if (value !== '') sysctl[name] = value
  }
  const [status, cgroup, mounts, commandLine] = await Promise.all(
    ['self/status', 'self/cgroup', 'self/mounts', 'cmdline'].map((name) => textOf(`/proc/${name}`)),
  )
  const top = /^\S+ (\S+) cgroup2 /m.exec(mounts!)?.[1]
  const own = /^0::(.*)$/m.exec(cgroup!)?.[1]
  const bubblewraps = []
  for (const folder of options.searchPath.split(delimiter).filter(Boolean)) {
    const path = join(folder, 'bwrap')
    if (existsSync(path)) bubblewraps.push({ path, version: await versionOf(path), setuid: await isSetuid(path) })
  }
  return {
    uid: process.getuid?.() ?? 0,
    sysctl,
    status: status!,
    cgroup: cgroup!,
    mounts: mounts!,
    commandLine: commandLine!,
    controllers: top === undefined ? '' : await textOf(join(top, 'cgroup.controllers')),
    delegated: top !== undefined && own !== undefined && (await mayWrite(join(top, own, 'cgroup.procs'))),
    containerMarks: ['/.dockerenv', '/run/.containerenv', '/var/run/secrets/kubernetes.io'].filter(existsSync),
    bubblewraps,
    programFolders: options.programFolders,
    trial: options.trial,
  }
}

async function textOf(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}

async function mayWrite(path: string): Promise<boolean> {
  return await access(path, constants.W_OK).then(
    () => true,
    () => false,
  )
}
