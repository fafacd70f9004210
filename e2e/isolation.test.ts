/**
 * Two people with running sessions on one platform: neither finds a way to the other (S-1, S-2, S-5, S-10; T8, T15, T19,
 * T23).
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  baseOf,
  content,
  contentHost,
  forms,
  newPerson,
  runJob,
  textOf,
  withSession,
  type Person,
  type Session,
} from './isolated-people.ts'
import { callApi, eventually, startPlatform, type RunningPlatform } from './platform.ts'
import { setUpExperiment, type Scenario } from './scenario.ts'
import { s3Client } from './s3-client.ts'

const isRoot = process.getuid?.() === 0
const canary = `canary-${Math.random().toString(36).slice(2)}`

let scenario: Scenario
let platform: RunningPlatform
let alice: Person
let bob: Person

describe('two people on one platform', () => {
  beforeAll(async () => {
    platform = await startPlatform()
    scenario = await setUpExperiment(platform)
    await scenario.call('POST', '/api/experiments', {
      name: 'other',
      title: 'Not for them',
      setup: 'one',
      series: 'man',
    })
    const roles = [{ experiment: 'demo', role: 'member' }]
    // Names of which one begins as the other does (T15).
    const [one, two] = [await newPerson(scenario, 'al', roles), await newPerson(scenario, 'al2', roles)]
    ;[alice, bob] = await Promise.all([withSession(scenario, one), withSession(scenario, two)])
    const written = await content(
      platform,
      'PUT',
      `${baseOf(alice.session)}api/contents/secret.txt`,
      await mayWrite(alice),
    )
    expect(written.status, written.body).toBe(201)
  })
  afterAll(async () => {
    await platform?.stop()
  })

  async function mayWrite(person: Person): Promise<{ headers: Record<string, string>; body: string }> {
    const xsrf = 'ab'.repeat(16)
    const host = new URL(person.session.url).host
    return {
      headers: {
        cookie: `${person.cookie}; _xsrf=${xsrf}`,
        'x-xsrftoken': xsrf,
        'content-type': 'application/json',
        origin: `http://${host}`,
        'sec-fetch-site': 'same-origin',
      },
      body: JSON.stringify({ type: 'file', format: 'text', content: canary }),
    }
  }

  test('S-1: no form of the address of a session opens it to another, by GET, POST or websocket', async () => {
    const base = baseOf(alice.session)
    const own = baseOf(bob.session)
    const others = { 'no cookie': '', 'his own': bob.cookie, 'a forged one': alice.cookie.replace(/.{8}$/, 'AAAAAAAA') }
    let asked = 0
    for (const form of forms(base, own)) {
      for (const [whose, cookie] of Object.entries(others)) {
        for (const [method, socket] of [
          ['GET', false],
          ['POST', false],
          ['GET', true],
        ] as const) {
          const what = `${method}${socket ? ' websocket' : ''} ${form} with ${whose}`
          const answer = await content(platform, method, form, { headers: cookie === '' ? {} : { cookie }, socket })
          asked += 1
          // A redirect may only lead to the platform's own pages or to the slash at the end of the same address.
          expect([302, 400, 403, 404, 421, 424], what).toContain(answer.status)
          if (answer.status === 302)
            expect(answer.headers.location, what).toMatch(
              /^(http:\/\/127\.0\.0\.1:\d+\/|\/user\/[a-z0-9]+\/[a-z0-9]+\/$)/,
            )
          expect(answer.body, what).not.toContain(canary)
        }
      }
    }
    expect(asked).toBeGreaterThan(300)
    // The same questions do open it to her: this test can fail.
    const hers = { headers: { cookie: alice.cookie } }
    const file = await content(platform, 'GET', `${base}api/contents/secret.txt`, hers)
    expect(file.status).toBe(200)
    expect(file.body).toContain(canary)
    expect((await content(platform, 'GET', `${base}api/events/subscribe`, { ...hers, socket: true })).status).toBe(101)
  })

  test("S-1: the API gives nobody another's session, its ticket or its stop", async () => {
    const path = `/api/notebooks/sessions/${alice.session.id}`
    for (const [method, more] of [
      ['GET', ''],
      ['POST', '/ticket'],
      ['POST', '/stop'],
    ] as const) {
      const answer = await fetch(`${platform.platformUrl}${path}${more}`, {
        method,
        headers: { authorization: `Bearer ${bob.token}` },
      })
      expect([403, 404], `${method} ${more}`).toContain(answer.status)
    }
  })

  test("S-2, S-5: from his sandbox nothing of hers is there, and the gateway's door asks who he is", async () => {
    const base = baseOf(alice.session)
    const host = contentHost(platform)
    const { job, log } = await runJob(
      platform,
      bob,
      `
import glob, http.client, json, os, socket, urllib.request, urllib.error
def ask(port, host, path, headers={}):
    one = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    one.putrequest("GET", path, skip_host=True)
    one.putheader("Host", host)
    for name, value in headers.items(): one.putheader(name, value)
    one.endheaders()
    answer = one.getresponse()
    # The platform's own page answers every address that is nothing else.
    return "page" if answer.read(20).lower().startswith(b"<!doctype html>") else answer.status
client = json.load(open("/run/cygnet/client.json"))
port, s3 = (int(client[name].rsplit(":", 1)[1]) for name in ("url", "s3Url"))
bearer = {"Authorization": "Bearer " + open("/run/cygnet/token").read()}
platform = "127.0.0.1:%d" % port
sockets = [path for path in glob.glob("/run/**", recursive=True) + glob.glob("/tmp/**", recursive=True) if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)]
open_ports = []
for number in list(range(8000, 9000)) + [22, 80, 443, 5432]:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        if probe.connect_ex(("127.0.0.1", number)) == 0: open_ports.append(number)
print(json.dumps({
    "homes": os.listdir("/home"), "data": sorted(os.listdir("/data")), "run": sorted(os.listdir("/run")), "sockets": sorted(sockets),
    "ports": sorted(set(open_ports) - {port, s3}), "processes": len([p for p in os.listdir("/proc") if p.isdigit()]),
    "abstract": [line.split()[-1] for line in open("/proc/net/unix") if "@" in line],
    "hers": ask(port, ${JSON.stringify(host)}, ${JSON.stringify(`${base}api/contents/secret.txt`)}),
    "hers with my token": ask(port, ${JSON.stringify(host)}, ${JSON.stringify(`${base}api/contents/secret.txt`)}, bearer),
    "internal": [ask(port, platform, path, bearer) for path in ("/internal/report", "/api/../internal/report", "/api/%2e%2e/internal/admin-link")],
    "other experiment": [ask(port, platform, path, bearer) for path in ("/api/experiments/other/runs", "/api/experiments/other/buckets", "/api/experiments/other/jobs")],
    "people": [ask(port, platform, path, bearer) for path in ("/api/identity/people", "/api/identity/clients?experiment=demo", "/api/compute/sandbox")],
    "unsigned": ask(s3, "127.0.0.1:%d" % s3, "/other-raw?list-type=2"),
    "mine": ask(port, platform, "/api/experiments/demo/runs", bearer),
}))`,
    )
    expect(job.state, log).toBe('done')
    const seen = JSON.parse(log.trim().split('\n').at(-1)!) as Record<string, unknown>
    expect(seen).toMatchObject({
      homes: ['al2'],
      data: ['demo-raw', 'demo-reco', 'demo-work'],
      run: ['cygnet', 'gateway', 'relay.py'],
      sockets: ['/run/gateway/platform.sock', '/run/gateway/s3.sock'],
      ports: [],
      abstract: [],
      hers: 403,
      'hers with my token': 403,
      'other experiment': [403, 403, 403],
      unsigned: 403,
      mine: 200,
    })
    expect(Number(seen.processes)).toBeLessThan(8)
    for (const status of seen.internal as number[]) expect(['page', 400, 404]).toContain(status)
    for (const status of seen.people as number[]) expect(status).toBe(403)
  })

  test('S-10: keys of a job open no other experiment, and nothing at all after its end', async () => {
    const { log, id } = await runJob(
      platform,
      bob,
      `
import json, urllib.request
client = json.load(open("/run/cygnet/client.json"))
token = open("/run/cygnet/token").read()
asked = urllib.request.Request(client["url"] + "/api/experiments/demo/runs", headers={"Authorization": "Bearer " + token})
assert urllib.request.urlopen(asked).status == 200
print(json.dumps([token, open("/run/cygnet/credentials").read()]))`,
    )
    const [token, credentials] = JSON.parse(log.trim().split('\n').at(-1)!) as [string, string]
    await expectDead(token, credentials, `job ${id}`)
  })

  test.runIf(isRoot)('S-2: on the host, as his uid, her places are closed', () => {
    const { home } = platform
    const uid = statSync(join(home, 'homes', 'al2')).uid
    const hers = join(home, 'jobs', `${alice.session.jobId}.1`)
    const socket = join(hers, 'session', 'jupyter.sock')
    expect(existsSync(socket)).toBe(true)
    const script = `
import json, os, socket, sys
def look(path):
    try:
        if os.path.isdir(path): os.listdir(path)
        else: open(path, "rb").read(1)
        return "open"
    except OSError as error: return error.errno
def connect(path):
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(path)
            return "open"
        except OSError as error: return error.errno
paths, sockets = json.loads(sys.argv[1])
print(json.dumps([{path: look(path) for path in paths}, {path: connect(path) for path in sockets}]))`
    const paths = [
      join(home, 'homes', 'al'),
      join(home, 'homes', 'al', 'secret.txt'),
      join(hers, 'spec.json'),
      join(hers, 'private'),
      join(hers, 'private', 'token'),
      join(hers, 'private', 'credentials'),
      join(hers, 'session'),
      join(hers, 'out'),
      join(hers, 'log'),
      join(home, 'jobs'),
      join(home, 'homes'),
      join(home, 'secrets'),
      join(home, 'database'),
      join(home, 'run', 'snapshot.json'),
      join(home, 'data', 'other-raw'),
      join(home, 'data', 'demo-work'),
      join(home, 'logs'),
      ...readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name) && textOf(`/proc/${name}/cmdline`).includes(home))
        .flatMap((name) => [`/proc/${name}/environ`, `/proc/${name}/fd`, `/proc/${name}/root`]),
    ]
    const sockets = [socket, join(home, 'run', 'control.sock')]
    const argv = [
      `--reuid=${uid}`,
      `--regid=${uid}`,
      '--clear-groups',
      '--',
      '/usr/bin/python3',
      '-c',
      script,
      JSON.stringify([paths, sockets]),
    ]
    const { stdout, stderr } = spawnSync('setpriv', argv, { encoding: 'utf8', cwd: '/' })
    expect(stderr).toBe('')
    const [looked, connected] = JSON.parse(stdout) as [Record<string, unknown>, Record<string, unknown>]
    expect(Object.keys(looked).length).toBeGreaterThan(20)
    // EACCES; EPERM; or gone in the meantime.
    for (const [path, answer] of Object.entries(looked)) expect([13, 1, 2, 3], path).toContain(answer)
    for (const [path, answer] of Object.entries(connected)) expect(answer, path).toBe(13)
  })

  test.runIf(isRoot)('T10, T19: secrets of a session are in no argument list, environment or log', () => {
    const folder = join(platform.home, 'jobs', `${alice.session.jobId}.1`)
    const secrets = ['token', 'credentials'].flatMap((name) =>
      (readFileSync(join(folder, 'private', name), 'utf8').match(/[\w.+/=-]{35,}/g) ?? []).slice(0, 3),
    )
    expect(secrets.length).toBeGreaterThan(1)
    const places = [
      ...readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .flatMap((name) => [`/proc/${name}/cmdline`, `/proc/${name}/environ`]),
      join(folder, 'log'),
      ...readdirSync(join(platform.home, 'logs')).map((name) => join(platform.home, 'logs', name)),
    ]
    for (const place of places) for (const secret of secrets) expect(textOf(place), place).not.toContain(secret)
  })

  test('S-10: after the end of a session its cookie, token and key are worth nothing', async () => {
    const folder = join(platform.home, 'jobs', `${alice.session.jobId}.1`, 'private')
    const token = readFileSync(join(folder, 'token'), 'utf8')
    const credentials = readFileSync(join(folder, 'credentials'), 'utf8')
    expect(
      (
        await fetch(`${platform.platformUrl}/api/experiments/demo/runs`, {
          headers: { authorization: `Bearer ${token}` },
        })
      ).status,
    ).toBe(200)
    // Never for what is a person's alone, not even while it lives.
    const refused = await fetch(`${platform.platformUrl}/api/identity/people`, {
      headers: { authorization: `Bearer ${token}` },
    })
    expect([401, 403]).toContain(refused.status)
    await callApi(platform, alice.token, 'POST', `/api/notebooks/sessions/${alice.session.id}/stop`)
    await eventually('the end of the session', async () => {
      const { state } = await callApi<Session>(
        platform,
        alice.token,
        'GET',
        `/api/notebooks/sessions/${alice.session.id}`,
      )
      return state === 'stopped' ? true : undefined
    })
    await expectDead(token, credentials, 'session')
    const target = `${baseOf(alice.session)}api/contents/secret.txt`
    await eventually('the route to be gone', async () => {
      const answer = await content(platform, 'GET', target, { headers: { cookie: alice.cookie } })
      expect(answer.body).not.toContain(canary)
      return [403, 404, 424].includes(answer.status) ? true : undefined
    })
  })

  /** Revocation reaches the gateways with the next snapshot. */
  async function expectDead(token: string, credentials: string, whose: string): Promise<void> {
    const [accessKeyId = '', secretAccessKey = ''] = [...credentials.matchAll(/= (\S+)/g)].map((match) => match[1]!)
    const client = s3Client(() => platform.s3Url, { accessKeyId, secretAccessKey })
    expect((await client.send('GET', '/other-raw', { query: { 'list-type': '2' } })).status).toBe(403)
    await eventually(`the key of the ${whose} to be dead`, async () => {
      const { status } = await client.send('GET', '/demo-raw', { query: { 'list-type': '2' } })
      return status === 403 ? true : undefined
    })
    await eventually(`the token of the ${whose} to be dead`, async () => {
      const headers = { authorization: `Bearer ${token}` }
      const { status } = await fetch(`${platform.platformUrl}/api/experiments/demo/runs`, { headers })
      return status === 401 ? true : undefined
    })
  }
})
