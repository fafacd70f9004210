/**
 * A session policy of STS, in the JSON of AWS, as capabilities. It can only narrow: what is not understood wholly is refused
 * or gives nothing, and no policy (`{}`, no statement) allows anything by being empty. Pure.
 */
import { z } from 'zod'
import type { Action } from '../../foundation/contract.ts'
import { includes, intersect, isPlace, reduced } from '../decisions/capability.ts'
import type { Capability } from '../subject.ts'

const oneOrMore = z.union([z.string(), z.array(z.string()).max(100)]).transform((given) => [given].flat())
const statementSchema = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Action: oneOrMore,
  Resource: oneOrMore,
  Condition: z.unknown().optional(),
})
const policySchema = z
  .strictObject({
    Version: z.string().optional(),
    Id: z.string().optional(),
    Statement: z.union([statementSchema.transform((one) => [one]), z.array(statementSchema).max(50)]).optional(),
  })
  .nullable()

/** What each action of S3 is here. Overwriting needs both putting and deleting. */
const meanings: Readonly<Record<string, 'read' | 'list' | 'put' | 'delete' | 'recall'>> = {
  getobject: 'read',
  getobjectversion: 'read',
  getobjectattributes: 'read',
  getobjectacl: 'read',
  getobjecttagging: 'read',
  listbucket: 'list',
  listbucketversions: 'list',
  listbucketmultipartuploads: 'list',
  listallmybuckets: 'list',
  getbucketlocation: 'list',
  putobject: 'put',
  putobjectacl: 'put',
  putobjecttagging: 'put',
  abortmultipartupload: 'put',
  listmultipartuploadparts: 'put',
  deleteobject: 'delete',
  deleteobjectversion: 'delete',
  deleteobjecttagging: 'delete',
  restoreobject: 'recall',
}
type Meaning = (typeof meanings)[string]

export class PolicyRefusal extends Error {}

/** @throws PolicyRefusal with words for the one who wrote it */
export function capabilitiesOfPolicy(text: string): Capability[] {
  const { Statement: statements = [] } = parsed(text) ?? {}
  const allowed = new Map<Meaning, Capability[]>()
  for (const statement of statements.filter(({ Effect }) => Effect === 'Allow')) {
    const named = meaningsOf(statement.Action)
    if (statement.Condition !== undefined) {
      // Reading says what may be listed; a listing alone, however bounded, gives nothing here.
      if ([...named].every((one) => one === 'list')) continue
      throw new PolicyRefusal('a Condition is only understood on listings')
    }
    const places = statement.Resource.map((resource) => placeOf(resource))
    for (const meaning of named) {
      const more = places.flatMap((place) => (place === 'bucket' ? [] : [capability(meaning, place)]))
      allowed.set(meaning, [...(allowed.get(meaning) ?? []), ...more])
    }
  }
  const of = (meaning: Meaning, action: Action) => (allowed.get(meaning) ?? []).map((one) => ({ ...one, action }))
  const given = [
    ...of('read', 'data.read'),
    ...of('put', 'data.create'),
    ...intersect(of('put', 'data.modify'), of('delete', 'data.modify')),
    ...of('recall', 'tape.recall'),
  ]
  return reduced(
    withoutDenied(
      given,
      statements.filter(({ Effect }) => Effect === 'Deny'),
    ),
  )
}

function withoutDenied(given: Capability[], denials: z.infer<typeof statementSchema>[]): Capability[] {
  let left = given
  for (const { Action: names, Resource: resources, Condition: condition } of denials) {
    if (condition !== undefined) throw new PolicyRefusal('a Deny with a Condition is not understood')
    const denied = meaningsOf(names, true)
    const actions = new Set<Action>()
    if (denied.has('read') || denied.has('list')) actions.add('data.read')
    if (denied.has('put')) actions.add('data.create').add('data.modify')
    if (denied.has('delete')) actions.add('data.modify')
    if (denied.has('recall')) actions.add('tape.recall')
    for (const resource of resources) {
      const place = placeOf(resource)
      const where = place === 'bucket' ? `${bucketOf(resource)}/**` : place
      left = left.filter((one) => {
        if (!actions.has(one.action)) return true
        const denial = { action: one.action, ...(where === undefined ? {} : { place: where }) }
        if (includes(denial, one)) return false
        if (intersect([one], [denial]).length === 0) return true
        throw new PolicyRefusal('a Deny that takes a part out of an Allow is not understood; allow less instead')
      })
    }
  }
  return left
}

function parsed(text: string): z.infer<typeof policySchema> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new PolicyRefusal('the policy is not JSON')
  }
  const policy = policySchema.safeParse(value)
  if (policy.success) return policy.data
  throw new PolicyRefusal('the policy has members that are not understood; Effect, Action and Resource are')
}

/** A `*` stands for any rest of the name. Unknown actions give nothing, and cannot be denied by name. */
function meaningsOf(names: readonly string[], isDenial = false): Set<Meaning> {
  return new Set(
    names.flatMap((name) => {
      const pattern = name.toLowerCase()
      if (pattern === '*' || pattern === 's3:*') return Object.values(meanings)
      const action = pattern.startsWith('s3:') ? pattern.slice(3) : undefined
      if (action === undefined) return []
      if (/[?]|\*./.test(action)) throw new PolicyRefusal(`'${name.slice(0, 60)}' is not understood`)
      const matched = Object.entries(meanings).filter(([one]) =>
        action.endsWith('*') ? one.startsWith(action.slice(0, -1)) : one === action,
      )
      if (isDenial && matched.length === 0) throw new PolicyRefusal(`'${name.slice(0, 60)}' cannot be denied by name`)
      return matched.map(([, meaning]) => meaning)
    }),
  )
}

/** Reading a folder includes listing it; writing is only about what lies in it. The action is filled in by the caller. */
function capability(meaning: Meaning, place: string | undefined): Capability {
  const action = 'data.read'
  if (place === undefined) return { action }
  const isFolder = place.endsWith('/**') && place.split('/').length > 2
  return { action, place: isFolder && meaning !== 'read' ? `${place.slice(0, -3)}/*/**` : place }
}

/** 'bucket': of the bucket itself and of nothing in it; undefined: everywhere. */
function placeOf(resource: string): string | undefined {
  if (resource === '*' || resource === 'arn:aws:s3:::*' || resource === 'arn:aws:s3:::*/*') return undefined
  const named = /^arn:aws:s3:::([a-z0-9*-]+)(?:\/(.*))?$/.exec(resource)
  if (named === null) throw new PolicyRefusal(`'${resource.slice(0, 100)}' is not an arn:aws:s3:::bucket/prefix`)
  const [, bucket = '', path] = named
  if (path === undefined) return 'bucket'
  const segments = path.split('/')
  if (segments.at(-1) === '*' || segments.at(-1) === '') segments[segments.length - 1] = '**'
  const place = [bucket, ...segments].join('/')
  if (!isPlace(place) || /[?$]/.test(place))
    throw new PolicyRefusal(`'${resource.slice(0, 100)}': a * stands for whole parts between slashes`)
  return place
}

function bucketOf(resource: string): string {
  return resource.slice('arn:aws:s3:::'.length)
}
