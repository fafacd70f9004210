import fc from 'fast-check'
import { expect, test } from 'vitest'
import { forEachDatabase } from '../../foundation/testing.ts'
import { adminBrowser, startIdentity } from '../testing.ts'
import { foldedName, lookOf } from './names.ts'
import { makePasskey, memoryDatabase } from './testing.ts'

test('B-50: names that mean something else, or could be mistaken, are refused at creation', async () => {
  const admin = await adminBrowser(await startIdentity(memoryDatabase))
  await admin.api.createPerson({ body: { name: 'alice', displayName: 'Alice' } })
  for (const name of [
    'root',
    'hub',
    'a-b',
    'Alice',
    '\u0430lice',
    'alice ',
    '',
    '..',
    'a'.repeat(33),
    'a.b',
    '1a',
    'a',
  ])
    await expect(admin.api.createPerson({ body: { name, displayName: 'X' } }), name).rejects.toMatchObject({
      status: 422,
    })
  await expect(admin.api.createPerson({ body: { name: 'alice', displayName: 'X' } })).rejects.toMatchObject({
    code: 'identity.name_taken',
  })
})

forEachDatabase('aliases', (open) => {
  test('T11: every spelling of an alias is the same person, at signing in and in searching; others are nobody', async () => {
    const identity = await startIdentity(open, { https: true })
    const admin = await adminBrowser(identity)
    const { id, signInLink } = await identity.identity.createPerson({
      name: 'gmazzi',
      displayName: 'Giovanni',
      siteAdmin: false,
      roles: [],
    })
    const params = { person: id }
    expect(await admin.api.addAlias({ params, body: { alias: 'Giovanni.Mazzi' } })).toEqual({
      aliases: ['Giovanni.Mazzi'],
    })
    const find = async (name: string) =>
      await admin.api.findPerson({ params: { name } }).then(
        (found) => found.id,
        ({ code }: { code: string }) => code,
      )
    for (const spelled of [
      'giovanni.mazzi',
      'GIOVANNI.MAZZI',
      ' Giovanni.Mazzi ',
      'ｇiovanni．mazzi',
      'GMAZZI',
      'gmazzi',
    ])
      expect(await find(spelled), spelled).toBe(id)
    for (const spelled of [
      'giovanni mazzi',
      'giovannimazzi',
      'giov\u0430nni.mazzi',
      'giovanni.mazzi\u0000',
      'giovanni..mazzi',
    ])
      expect(await find(spelled), spelled).toBe('identity.no_such_person')

    const browser = identity.browser()
    await browser.signIn(signInLink.code)
    const told = { origin: identity.publicUrl, rpId: 'cygnet.example' }
    const passkey = makePasskey((await browser.api.startPasskey()).options, told)
    await browser.api.addPasskey({ body: { label: 'key', response: passkey.made } })
    const { codes } = await browser.api.createRecoveryCodes()
    const body = { name: 'GIOVANNI.Mazzi', password: '', code: codes[0]! }
    expect(await identity.browser().api.signInWithPassword({ body })).toMatchObject({ name: 'gmazzi' })

    // Taken away it finds nobody, and is never anybody else's.
    await admin.api.removeAlias({ params: { ...params, alias: 'giovanni.mazzi' } })
    expect(await find('Giovanni.Mazzi')).toBe('identity.no_such_person')
    const { person: other } = await admin.api.createPerson({ body: { name: 'other', displayName: 'Other' } })
    await expect(
      admin.api.addAlias({ params: { person: other.id }, body: { alias: 'Giovanni-Mazzi' } }),
    ).rejects.toMatchObject({ code: 'identity.name_taken' })
    await expect(admin.api.createPerson({ body: { name: 'giovannimazzi', displayName: 'X' } })).rejects.toMatchObject({
      code: 'identity.name_taken',
    })
    expect(await admin.api.addAlias({ params, body: { alias: 'giovanni.MAZZI' } })).toEqual({
      aliases: ['giovanni.MAZZI'],
    })
  })
})

test('an alias that looks like the name of somebody else is refused', async () => {
  const admin = await adminBrowser(await startIdentity(memoryDatabase))
  const { person: mario } = await admin.api.createPerson({ body: { name: 'mario', displayName: 'Mario' } })
  const { person: eve } = await admin.api.createPerson({ body: { name: 'eve', displayName: 'Eve' } })
  await admin.api.addAlias({ params: { person: mario.id }, body: { alias: 'Mario.Rossi' } })
  const add = (alias: string) => admin.api.addAlias({ params: { person: eve.id }, body: { alias } })
  for (const alias of ['Mario', 'rnario', 'M.a.r.i.o', 'mar1o', 'mari0', 'mario.r0ssi', 'Mario-Rossi', 'mario.ros5i'])
    await expect(add(alias), alias).rejects.toMatchObject({ code: 'identity.name_taken' })
  for (const alias of ['.mario', 'a..b', 'mario rossi', 'm\u0430rio', 'a', '-x-', 'x'.repeat(41)])
    await expect(add(alias), alias).rejects.toMatchObject({ status: 422 })
  await add('Eve.Bianchi')
})

test('folding twice is folding once, and what is folded the same looks the same', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (typed) => {
      const folded = foldedName(typed)
      if (folded === undefined) return
      expect(foldedName(folded)).toBe(folded)
      expect(foldedName(typed.toUpperCase())).toSatisfy(
        (upper) => upper === undefined || lookOf(String(upper)) === lookOf(folded),
      )
      expect(lookOf(lookOf(folded))).toBe(lookOf(folded))
    }),
    { numRuns: 500 },
  )
})
