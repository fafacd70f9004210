import fc from 'fast-check'
import { expect, test } from 'vitest'
import { childText, parseXml, xmlDocument } from './xml.ts'

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (key, other) => {
      fc.pre(!/[\ufffe\uffff]/.test(key + other) && !(key + other).includes('\0') && key.isWellFormed())
      const root = parseXml(xmlDocument('Delete', { Object: [{ Key: key }, { Key: other }] }))
      expect(root.children.map((child) => childText(child, 'Key'))).toEqual([key, other])
    }),
  )
})

test('CDATA, comments, namespaces and attributes do not matter', () => {
  const root = parseXml(
    '<?xml version="1.0"?>\n<!-- x --><s3:Delete xmlns:s3="urn:x"><s3:Object a="b"><s3:Key><![CDATA[<&>]]>&#65;</s3:Key></s3:Object></s3:Delete>\n',
  )
  expect(childText(root.children[0]!, 'Key')).toBe('<&>A')
})

test.each([
  '',
  'text',
  '<a>',
  '<a></b>',
  '</a>',
  '<a/><b/>',
  '<a>&unknown;</a>',
  '<a>& </a>',
  '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
  '<?php ?><a/>',
  '<a b=c/>',
  `${'<a>'.repeat(100)}${'</a>'.repeat(100)}`,
  `<a>${'<b/>'.repeat(60_001)}</a>`,
])('%.40s is refused', (source) => {
  expect(() => parseXml(source)).toThrow(expect.objectContaining({ code: 'storage.malformed_xml' }))
})
