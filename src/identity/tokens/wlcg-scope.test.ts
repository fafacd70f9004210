/** The path rules of the WLCG profile, and that nothing made from something is ever more than it. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { actions } from '../../foundation/contract.ts'
import { decide } from '../decide.ts'
import { covers, includes, placedActions } from '../decisions/capability.ts'
import { personRoles, type Capability, type Limits, type Subject } from '../subject.ts'
import { formatCapabilitiesAsScope, heldOf, limitsWith, narrowedScope, withinLimits } from './narrowing.ts'
import { capabilitiesOfPolicy } from './session-policy.ts'
import { capabilitiesOf, parseScope } from './wlcg-scope.ts'

const may = (scope: string, action: 'data.read' | 'data.create' | 'data.modify', path: string) => {
  const [bucket, ...key] = path.slice(1).split('/')
  const given = parseScope(scope)!.flatMap((item) => capabilitiesOf(item, 'cygno'))
  return given.some((one) => covers(one, action, { bucket: `cygno-${bucket}`, key: key.join('/') }))
}

describe('scopes', () => {
  test.each([
    'storage.read',
    'storage.read:',
    'storage.read:relative',
    'storage.read:/a/../b',
    'storage.read:/a/./b',
    'storage.read:/%2e%2e/b',
    'storage.read:/a%2Fb',
    'storage.read:/a//b',
    'storage.read://a',
    'storage.read:/a//',
    'storage.read:/%61',
    'storage.read:/a%2fb',
    'storage.read:/a%',
    'storage.read:/%ff',
    'storage.read:/a%00',
    'storage.read:/a/*',
    'storage.read:/a%2A',
    'storage.write:/a',
    'compute.read:/a',
    'wlcg.groups:cygno',
    'wlcg.groups:/',
    'wlcg.capabilityset:/x',
    'people.manage',
    'credentials.create',
    'api',
    'storage.read:/a  storage.read:/b',
  ])('B-12 %s is refused and never put right', (scope) => {
    expect(parseScope(scope)).toBeUndefined()
  })

  test('a path is exactly that place and what lies below it, by whole segments', () => {
    expect(may('storage.create:/raw/foo', 'data.create', '/raw/foo')).toBe(true)
    expect(may('storage.create:/raw/foo', 'data.create', '/raw/foo/qux/x')).toBe(true)
    expect(may('storage.create:/raw/foo', 'data.create', '/raw/foobar')).toBe(false)
    expect(may('storage.create:/raw/foo', 'data.create', '/raw')).toBe(false)
    expect(may('storage.create:/raw/foo', 'data.modify', '/raw/foo')).toBe(false)
    expect(may('storage.create:/raw/foo', 'data.read', '/raw/foo')).toBe(false)
    // With a last slash it is a directory, and no file of that name.
    expect(may('storage.create:/raw/foo/', 'data.create', '/raw/foo')).toBe(false)
    expect(may('storage.create:/raw/foo/', 'data.create', '/raw/foo/x/y')).toBe(true)
    expect(may('storage.modify:/reco', 'data.create', '/reco/x')).toBe(true)
    expect(may('storage.modify:/reco', 'data.modify', '/reco/x')).toBe(true)
    expect(may('storage.read:/', 'data.read', '/reco/x')).toBe(true)
    expect(may('storage.read:/reco/a%20b', 'data.read', '/reco/a b/x')).toBe(true)
  })
})

describe('a session policy', () => {
  const of = (...Statement: object[]) => capabilitiesOfPolicy(JSON.stringify({ Version: '2012-10-17', Statement }))
  const allow = (Action: string | string[], Resource: string | string[] = '*', more = {}) => ({
    Effect: 'Allow',
    Action,
    Resource,
    ...more,
  })
  const deny = (Action: string | string[], Resource: string | string[] = '*') => ({ Effect: 'Deny', Action, Resource })

  test('becomes capabilities; overwriting needs putting and deleting', () => {
    expect(of(allow('s3:GetObject', 'arn:aws:s3:::cygno-work/a/*'))).toEqual([
      { action: 'data.read', place: 'cygno-work/a/**' },
    ])
    expect(of(allow('s3:PutObject', 'arn:aws:s3:::cygno-work/a/*'))).toEqual([
      { action: 'data.create', place: 'cygno-work/a/*/**' },
    ])
    expect(of(allow(['s3:PutObject', 's3:DeleteObject'])).map(({ action }) => action)).toEqual([
      'data.create',
      'data.modify',
    ])
    expect(of(allow('s3:DeleteObject'))).toEqual([])
    expect(of(allow('s3:Get*', 'arn:aws:s3:::b/*'))).toEqual([{ action: 'data.read', place: 'b/**' }])
    expect(of(allow('ec2:*'))).toEqual([])
    // A bucket as such holds nothing.
    expect(of(allow(['s3:ListBucket', 's3:GetObject'], 'arn:aws:s3:::b'))).toEqual([])
  })

  test('a Deny takes away what it covers, or the policy is refused', () => {
    expect(of(allow('s3:*'), deny('s3:*'))).toEqual([])
    expect(of(allow('s3:*'), deny('s3:Put*')).map(({ action }) => action)).toEqual(['data.read', 'tape.recall'])
    expect(of(allow('s3:GetObject', 'arn:aws:s3:::b/x/*'), deny('s3:*', 'arn:aws:s3:::c/*'))).toHaveLength(1)
    expect(() => of(allow('s3:GetObject', 'arn:aws:s3:::b/*'), deny('s3:GetObject', 'arn:aws:s3:::b/x/*'))).toThrow(
      'a part',
    )
  })

  test.each([
    [allow('s3:GetObject', 'arn:aws:s3:::b/pre*')],
    [allow('s3:GetObject', 'arn:aws:s3:::b/${aws:username}/*')],
    [allow('s3:GetObject', 'arn:aws:s3:::b/../c')],
    [allow('s3:GetObject', 'arn:aws:sqs:::b')],
    [allow('s3:GetObject', '*', { Condition: { Bool: {} } })],
    [allow('s3:*Object')],
    [{ Effect: 'Allow', NotAction: 's3:GetObject', Resource: '*' }],
    [{ Effect: 'Allow', Action: '*', NotResource: '*' }],
    [{ Effect: 'Maybe', Action: '*', Resource: '*' }],
    [{ ...deny('s3:GetObject'), Condition: {} }],
    [deny('s3:Fly')],
  ])('%j is not understood and refused', (statement) => {
    expect(() => of(statement)).toThrow()
  })

  test.each(['{}', 'null', '{"Statement":[]}'])('%s allows nothing', (text) =>
    expect(capabilitiesOfPolicy(text)).toEqual([]),
  )
})

const placeArbitrary = fc
  .tuple(
    fc.constantFrom('cygno-raw', 'cygno-work', 'demo-work'),
    fc.array(fc.constantFrom('a', 'ab', 'b', '*'), { maxLength: 2 }),
    fc.constantFrom([], ['**'], ['x']),
  )
  .map(([bucket, middle, last]) => [bucket, ...middle, ...last].join('/'))
const capabilityArbitrary: fc.Arbitrary<Capability> = fc
  .tuple(fc.constantFrom(...actions), fc.option(placeArbitrary, { nil: undefined }))
  .map(([action, place]) => ({ action, ...(place !== undefined && placedActions.has(action) && { place }) }))
const limitsArbitrary: fc.Arbitrary<Limits> = fc.record(
  {
    actions: fc.subarray([...actions]),
    prefix: fc.constantFrom('cygno-work', 'cygno-work/a', 'cygno-raw/'),
    experiment: fc.constantFrom('cygno', 'demo'),
    capabilities: fc.array(capabilityArbitrary, { maxLength: 4 }),
  },
  { requiredKeys: [] },
)
const subjectArbitrary: fc.Arbitrary<Subject> = fc
  .record({
    role: fc.constantFrom(...personRoles),
    experiment: fc.constantFrom('cygno', 'demo'),
    group: fc.option(fc.constant('/cygno/analysis'), { nil: undefined }),
    untilMs: fc.option(fc.constantFrom(1, 9_000_000_000_000), { nil: undefined }),
    capabilities: fc.option(fc.array(capabilityArbitrary, { maxLength: 3 }), { nil: undefined }),
    limits: fc.option(limitsArbitrary, { nil: undefined }),
  })
  .map(({ limits, role, experiment, group, untilMs, capabilities }) => ({
    id: 'p',
    kind: 'person',
    name: 'p',
    epoch: 1,
    siteAdmin: false,
    roles: [
      {
        experiment,
        role,
        ...(group !== undefined && { group }),
        ...(untilMs !== undefined && { untilMs }),
        ...(capabilities !== undefined && { capabilities }),
      },
    ],
    ...(limits !== undefined && { limits }),
  }))
const keyArbitrary = fc
  .array(fc.constantFrom('a', 'ab', 'b', 'x'), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join('/'))
const area = '/work'
const scopeArbitrary = fc.array(
  fc.oneof(
    fc
      .tuple(
        fc.constantFrom('storage.read', 'storage.create', 'storage.modify', 'storage.stage'),
        fc.constantFrom('/', '/raw', '/work', `${area}/a`, `${area}/a/`, `${area}/ab/x`),
      )
      .map(([name, path]) => ({ name, path })),
    fc
      .constantFrom('compute.read', 'compute.create', 'compute.cancel', 'logbook.read', 'daq.write')
      .map((name) => ({ name })),
  ),
  { minLength: 1, maxLength: 4 },
)

describe('mint(x) is never more than x', () => {
  test('a token with the scope given allows nothing that its subject may not', () => {
    fc.assert(
      fc.property(
        subjectArbitrary,
        scopeArbitrary,
        fc.constantFrom('cygno-raw', 'cygno-work', 'demo-work'),
        keyArbitrary,
        (subject, asked, bucket, key) => {
          const nowMs = 1_000_000_000_000
          const given = narrowedScope(asked, subject, 'cygno', nowMs)
          const capabilities = given.flatMap((item) => capabilitiesOf(item, 'cygno'))
          // What the token says elsewhere, where nobody asks us: each thing it names must be its subject's.
          for (const action of actions) {
            const where = { bucket, key }
            if (!capabilities.some((one) => covers(one, action, placedActions.has(action) ? where : {}))) continue
            if (!bucket.startsWith('cygno-') && placedActions.has(action)) continue
            const resource = { experiment: 'cygno', ownerId: 'p', ...(placedActions.has(action) ? where : {}) }
            expect([action, where, decide(subject, action, resource, nowMs).allow]).toEqual([action, where, true])
          }
          // And it was asked for.
          const wanted = asked.flatMap((item) => capabilitiesOf(item, 'cygno'))
          for (const one of capabilities) expect(wanted.some((wide) => includes(wide, one))).toBe(true)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('limits met with capabilities allow what both allow', () => {
    fc.assert(
      fc.property(
        subjectArbitrary,
        fc.array(capabilityArbitrary, { maxLength: 4 }),
        fc.constantFrom(...actions),
        fc.constantFrom('cygno-raw', 'cygno-work'),
        keyArbitrary,
        (subject, capabilities, action, bucket, key) => {
          const resource = { experiment: 'cygno', bucket, key, ownerId: 'p' }
          const narrow = { ...subject, limits: limitsWith(subject.limits, capabilities) }
          const expected =
            decide(subject, action, resource).allow && capabilities.some((one) => covers(one, action, { bucket, key }))
          expect(decide(narrow, action, resource).allow).toBe(expected)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('what is held is within the limits, and holding again changes nothing', () => {
    fc.assert(
      fc.property(subjectArbitrary, fc.array(capabilityArbitrary, { maxLength: 4 }), (subject, asked) => {
        const held = heldOf(subject, 'cygno', asked, 5)
        for (const one of held) expect(asked.some((wide) => includes(wide, one))).toBe(true)
        expect(withinLimits(held, subject.limits, 'cygno')).toEqual(held)
      }),
      { numRuns: 300 },
    )
  })

  test('declared capabilities and the scope of them say the same', () => {
    const declared: Capability[] = [
      { action: 'data.create', place: 'cygno-raw/lngs/**' },
      { action: 'daq.write' },
      { action: 'data.read' },
    ]
    expect(formatCapabilitiesAsScope(declared, 'cygno')).toBe('storage.create:/raw/lngs daq.write storage.read:/')
  })
})
