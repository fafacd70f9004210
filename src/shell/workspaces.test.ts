/** What a sandbox may do with the files of a bucket is what its person may do over S3: the machine asked, not the code. */
import { chmodSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { migrate, openDatabase } from '../foundation/database.ts'
import { openFacts } from '../foundation/facts.ts'
import { silentLogger } from '../foundation/log.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { systemClock } from '../foundation/time.ts'
import {
  decide,
  identityMigrations,
  openIdentity,
  personRoles,
  subjectOf,
  type Identity,
  type PersonRole,
} from '../identity/index.ts'
import { bucketNameOf, openStorage, type Purpose, type Storage } from '../storage/index.ts'
import { fileOwners } from './file-owners.ts'
import { platformOwner, workspaces } from './workspaces.ts'

const isRoot = process.getuid?.() === 0
const experiment = 'demo'
const purposes: Purpose[] = ['raw', 'reco', 'work']

test.skipIf(!isRoot)(
  `modes let a person's processes do what decide() lets the person do over S3${isRoot ? '' : ' (SKIPPED: not run as root)'}`,
  async () => {
    const { path } = await temporaryDirectory()
    chmodSync(path, 0o755)
    const clock = systemClock()
    const log = silentLogger()
    const database = await openDatabase({ url: 'sqlite::memory:' })
    await migrate(database, [identityMigrations])
    const facts = openFacts({ database, clock, log })
    const secretsDirectory = join(path, 'secrets')
    const identity = await openIdentity({
      database,
      facts,
      clock,
      log,
      secretsDirectory,
      publicUrl: 'http://127.0.0.1:1',
    })
    const storage = await openStorage({
      root: join(path, 'data'),
      clock,
      log,
      macKey: Buffer.alloc(32, 7),
      freeFloorBytes: 0,
      owners: fileOwners(() => identity.snapshotPart()),
    })
    onTestFinished(async () => {
      await storage.close()
      await identity.close()
      await facts.close()
      await database.close()
    })
    await identity.experimentGroupOf(experiment)
    const people: { role: PersonRole | undefined; experiment: string; id: string }[] = []
    for (const role of [...personRoles, undefined]) {
      const roles = role === undefined ? [] : [{ experiment, role }]
      const { id } = await identity.createPerson({
        name: role ?? 'nobody-here',
        displayName: '',
        siteAdmin: false,
        roles,
      })
      people.push({ role, experiment, id })
    }
    const elsewhere = await identity.createPerson({
      name: 'elsewhere',
      displayName: '',
      siteAdmin: true,
      roles: [{ experiment: 'other', role: 'exp-admin' }],
    })
    people.push({ role: undefined, experiment: 'other', id: elsewhere.id })
    const body = async function* () {
      yield Buffer.from('x')
    }
    for (const purpose of purposes) {
      const bucket = bucketNameOf(experiment, purpose)
      await storage.createBucket({ name: bucket, experiment, purpose })
      for (const { id } of people) {
        // An object of everybody's, as S3 makes it of who may.
        const subject = subjectOf(identity.snapshotPart().subjects[id]!)
        const resource = { experiment, bucket, purpose }
        if (!decide(subject, 'data.create', resource).allow) continue
        const may = decide(subject, 'data.modify', resource).allow ? 'replace' : 'create'
        await storage.putObject({ bucket, key: `d/${id}`, body: body(), ownerId: id, may })
      }
      await storage.putObject({ bucket, key: 'd/platform', body: body() })
    }
    const workspaceOf = workspaces({ identity, storage })
    const checked: string[] = []
    for (const { role, id, experiment: own } of people) {
      const workspace = await workspaceOf(id, own)
      const subject = subjectOf(identity.snapshotPart().subjects[id]!)
      for (const purpose of purposes) {
        const bucket = bucketNameOf(experiment, purpose)
        const folder = join(path, 'data', bucket)
        const may = (action: 'data.read' | 'data.modify') =>
          decide(subject, action, { experiment, bucket, purpose }).allow
        const can = (script: string) => run(workspace, folder, script)
        const mount = workspace.buckets.find(({ name }) => name === bucket)
        const what = `${role ?? own} ${bucket}`
        expect([what, 'mounted', mount !== undefined]).toEqual([what, 'mounted', may('data.read')])
        expect([what, 'reads', can('cat d/*')]).toEqual([what, 'reads', may('data.read')])
        // Whatever the mount says: where results and raw data lie, the modes themselves keep everybody's hands off.
        const writes = purpose === 'work' && may('data.modify')
        expect([what, 'rw', mount?.mode === 'rw']).toEqual([what, 'rw', writes])
        for (const script of [
          'for f in d/*; do printf y >>$f || exit 1; done',
          'touch new && mkdir -p sub && touch sub/new',
          'mv d/platform d/moved && mv d/moved d/platform',
        ])
          expect([what, script, can(script)]).toEqual([what, script, writes])
        checked.push(what)
      }
    }
    expect(checked).toHaveLength(people.length * purposes.length)
    const platform = await workspaceOf(platformOwner.id, experiment)
    for (const purpose of purposes) {
      const folder = join(path, 'data', bucketNameOf(experiment, purpose))
      expect([purpose, run(platform, folder, 'cat d/*')]).toEqual([purpose, true])
      expect([purpose, run(platform, folder, 'printf y >>d/platform')]).toEqual([purpose, false])
    }
  },
)

test('processes of a person have the numbers of his groups in that experiment, as long as he is in them', async () => {
  const gid = (number: number) => ({ gid: number })
  const member = { experiment, role: 'member' as const }
  const roles = [
    member,
    { ...member, group: '/demo/analysis' },
    { ...member, group: '/demo/analysis', untilMs: Date.now() + 60_000 },
    { ...member, group: '/demo/over', untilMs: 5 },
    { ...member, group: '/demo/archived' },
    { ...member, experiment: 'other', group: '/other/daq' },
  ]
  const person = { id: 'p', kind: 'person', name: 'anna', displayName: '', state: 'active', epoch: 1 }
  const snapshot = {
    subjects: { p: { ...person, siteAdmin: false, roles } },
    groups: { '/demo/analysis': gid(3_000_001), '/demo/over': gid(3_000_002), '/other/daq': gid(3_000_003) },
  }
  const identity = {
    snapshotPart: () => snapshot,
    platformUidOf: async () => 300_001,
    experimentGroupOf: async () => ({ gid: 1_000_000, writersGid: 1_000_001 }),
  } as unknown as Identity
  const storage = {
    listBuckets: () => [{ name: 'demo-work', experiment, purpose: 'work' }],
    bucketPath: (name: string) => `/data/${name}`,
  } as unknown as Storage
  const { groups, uid } = await workspaces({ identity, storage })('p', experiment)
  expect(uid).toBe(300_001)
  expect(groups.filter((number) => number >= 1_000_000)).toEqual([3_000_001, 1_000_000, 1_000_001])
})

function run({ uid, groups }: { uid: number; groups: number[] }, folder: string, script: string): boolean {
  const account = [`--reuid=${uid}`, `--regid=${uid}`, `--groups=${groups.join(',')}`, '--inh-caps=-all']
  const command = ['-c', `cd "$1" && { ${script}; } >/dev/null 2>&1`, 'sh', folder]
  const { status } = spawnSync('/usr/bin/setpriv', [...account, '--', '/bin/sh', ...command], {
    cwd: '/',
    stdio: 'ignore',
  })
  return status === 0
}
