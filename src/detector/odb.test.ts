import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { testOnDomainData } from '../foundation/testing.ts'
import { odbToConditions, runParametersOf } from './odb-conditions.ts'
import { maskOdb, odbAt, parseOdb } from './odb-text.ts'
import type { Odb } from './odb-text.ts'

const plain = (odb: Odb): unknown => JSON.parse(JSON.stringify(odb))

describe('the two real dumps', () => {
  testOnDomainData('run 42901, minified JSON', async (data) => {
    const { odb, format } = parseOdb(await readFile(join(data, 'daq/odb_LNGS_run42901_2023-12-14.json'), 'utf8'))
    expect(format).toBe('json')
    const parameters = runParametersOf(odb)
    expect(parameters).toMatchObject({
      number: 42901,
      startedMs: Date.UTC(2023, 11, 14, 22, 33, 17),
      endedMs: undefined,
      kind: 'data',
      runType: 0,
      description: 'Standard - LOW Gain',
      exposureSeconds: 0.3,
      freeRunning: false,
      withWaveforms: true,
      shielding: 3,
      cathodeVolts: -41291,
      cameraTemperatureCelsius: -19,
    })
    expect(parameters.demandVolts).toEqual({
      Offset: 10,
      VGEM3: 400,
      Transf2: 500,
      VGEM2: 400,
      Transf1: 500,
      VGEM1: 400,
      Drift: 960,
      PMT1: 772,
      PMT2: 772,
      PMT4: 770,
      PMT3: 800,
    })
    expect(parameters.measuredVolts.VGEM1).toBeCloseTo(400.06, 5)
    const conditions = odbToConditions(odb)
    expect(conditions).toContainEqual({ path: '/Configurations/Exposure', name: 'Exposure', value: 0.3, unit: 's' })
    expect(conditions).toContainEqual({
      path: '/Equipment/HV/Variables/Measured',
      name: 'VGEM3 measured',
      value: 400.17999,
      unit: 'V',
      index: 1,
    })
    expect(conditions).toContainEqual({
      path: '/Equipment/SourceMotor/Variables/Input',
      name: 'Reference position 10 input',
      value: 'NaN',
      index: 11,
    })
    const masked = maskOdb(odb)
    expect(odbAt(masked, '/Logger/Runlog/SQL/Password')).toBe('***')
    expect(odbAt(masked, '/Equipment/Environment/Settings/Devices/Input/MSCB Pwd')).toBe('***')
    expect(odbAt(masked, '/Logger/Runlog/SQL/Username')).toBe('cygno_producer')
    expect(odbAt(masked, '/WebServer/https port passwords')).toBe(true)
  })

  testOnDomainData('run 17159, decimal commas and metadata, not valid JSON', async (data) => {
    const text = await readFile(join(data, 'daq/odb_LNGS_run17159_decimal_comma.txt'), 'utf8')
    expect(() => JSON.parse(text)).toThrow()
    const { odb, format } = parseOdb(text)
    expect(format).toBe('json-decimal-comma')
    expect(runParametersOf(odb)).toMatchObject({
      number: 17159,
      startedMs: Date.UTC(2023, 4, 1, 16, 51, 19),
      endedMs: Date.UTC(2023, 4, 1, 16, 51, 28),
      description: 'S000:PED:DUMMY, test db',
      freeRunning: true,
      demandVolts: { VGEM3: 400, VGEM2: 400, VGEM1: 400, Drift: 996, PMT1: 772 },
      measuredVolts: { VGEM3: 0.23999999 },
      cathodeVolts: -5.3000002,
    })
    expect(odbAt(odb, '/middleware/nsigma')).toBe(2.5)
    expect(odbAt(odb, '/middleware/nsigma/key')).toBeUndefined()
    expect(odbAt(odb, '/Experiment/Security/RPC ports/Logger')).toBe(0)
    expect(odbAt(odb, '/Logger/Runlog/SQL/Links BOR/run_number')).toBe('/Runinfo/Run number')
    expect(odbAt(maskOdb(odb), '/Logger/Runlog/SQL/Password')).toBe('***')
    const measured = odbAt(odb, '/Equipment/HV/Variables/Measured') as number[]
    expect(measured).toHaveLength(26)
    expect(measured[1]).toBe(0.23999999)
    expect(odbAt(odb, '/Equipment/HV/Variables/ChState')).toEqual(Array.from({ length: 26 }, () => 0))
    expect(JSON.stringify(odb)).not.toContain('/key"')
  })
})

describe('the parser', () => {
  test('reads every JSON object as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), fc.constantFrom(0, 2), (value, indent) => {
        const clean = JSON.parse(
          JSON.stringify(value, (key, inner: unknown) => (key.endsWith('/key') ? 0 : inner)),
        ) as unknown
        fc.pre(!/"0x[0-9a-fA-F]+"/.test(JSON.stringify(clean)))
        expect(plain(parseOdb(JSON.stringify(clean, null, indent)).odb)).toEqual(clean)
      }),
      { numRuns: 300 },
    )
  })

  test('decimal commas are told from list commas, spaces or not', () => {
    const { odb, format } = parseOdb('{"a":[0,2,3999999e-01,-1,8000001e-01,7],"b":6,6584000000000003e+01,"c":5}')
    expect(format).toBe('json-decimal-comma')
    expect(plain(odb)).toEqual({ a: [0, 0.23999999, -0.18000001, 7], b: 66.584000000000003, c: 5 })
  })

  test('NaN, infinities, hexadecimals, NUL padding, keys that are no prototype', () => {
    const { odb } = parseOdb(
      '{"n":NaN,"q":"NaN","i":-inf,"h":"0xff","t/key":{"type":12},"t":"0xff","__proto__":{"x":1},}\0\0\0',
    )
    expect(Object.entries(odb).map(([key, value]) => [key, plain({ value } as Odb)])).toEqual([
      ['n', { value: 'NaN' }],
      ['q', { value: 'NaN' }],
      ['i', { value: '-Infinity' }],
      ['h', { value: 255 }],
      ['t', { value: '0xff' }],
      ['__proto__', { value: { x: 1 } }],
    ])
    expect(({} as { x?: number }).x).toBeUndefined()
  })

  test('says where a dump stops making sense, whatever it holds', () => {
    expect(() => parseOdb('{"a": [1, 2')).toThrow(/stops making sense at character 11/)
    expect(() => parseOdb('<?xml version="1.0"?>')).toThrow(/<odb> was expected/)
    expect(() => parseOdb('<odb><dir name="a"><key name="b" type="INT32">1</dir></odb>')).toThrow(
      /character 53: <\/dir> closes nothing/,
    )
    expect(() => parseOdb(`<odb>${'<dir name="a">'.repeat(5000)}`)).toThrow(/nested too deep/)
    expect(() => parseOdb('['.repeat(5000))).toThrow(/nested too deep/)
    expect(parseOdb('\0\0').format).toBe('none')
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseOdb(`{"a":${text}`)
        } catch (error) {
          expect(error).toMatchObject({ code: 'detector.bad_odb' })
        }
      }),
    )
  })
})

test('secrets are masked by key and by content, wherever they stand', () => {
  const { odb } = parseOdb(
    JSON.stringify({
      Password: 'hunter2',
      db_pwd: '',
      'Api Key': 17,
      Tokens: { a: 'x', b: ['y'] },
      'S3 secret': 'z',
      keyboard: 'fine',
      tokenless: false,
      Note: 'https://user:pass@host/x',
      Script: 'upload --token=abc',
      Key: '-----BEGIN RSA PRIVATE KEY-----',
      bypass: 'open',
      compass: 'north',
    }),
  )
  expect(plain(maskOdb(odb))).toEqual({
    Password: '***',
    db_pwd: '***',
    'Api Key': '***',
    Tokens: { a: '***', b: ['***'] },
    'S3 secret': '***',
    keyboard: 'fine',
    tokenless: false,
    Note: '***',
    Script: '***',
    Key: '***',
    bypass: 'open',
    compass: 'north',
  })
  const run = parseOdb(JSON.stringify({ Configurations: { token: 'abc', Exposure: 0.2 } })).odb
  expect(odbToConditions(run)).toEqual([
    { path: '/Configurations/token', name: 'token', value: '***' },
    { path: '/Configurations/Exposure', name: 'Exposure', value: 0.2, unit: 's' },
  ])
})

test('a dump as XML says the same as the dump as JSON', () => {
  const xml = `<?xml version="1.0" encoding="ISO-8859-1"?>
<!-- created by MXML on Thu Dec 14 23:35:49 2023 -->
<odb root="/" filename="/daq/last.xml" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <dir name="Runinfo">
    <key name="Run number" type="INT32">42901</key>
    <key name="Start time" type="STRING" size="32">Thu Dec 14 &amp; &lt;late&gt; &#233;</key>
    <key name="Start time binary" type="DWORD">0x657b83c5</key>
  </dir>
  <dir name="Empty" handle="12"/>
  <key name="Online Mode" type="BOOL">y</key>
  <keyarray name="Volts" type="FLOAT" num_values="3"><value index="0">440.5</value><value index="1">0,25</value><value>nan</value></keyarray>
  <key name="__proto__" type="STRING" size="8"></key>
</odb>
\0\0`
  const { odb, format } = parseOdb(xml)
  expect(format).toBe('xml')
  expect(JSON.parse(JSON.stringify(odb))).toEqual(
    JSON.parse(
      `{"Runinfo": {"Run number": 42901, "Start time": "Thu Dec 14 & <late> é", "Start time binary": 1702593477},
        "Empty": {}, "Online Mode": true, "Volts": [440.5, 0.25, "NaN"], "__proto__": ""}`,
    ),
  )
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom(
          '<dir name="x">',
          '</dir>',
          '<key name="k" type="INT32">',
          '7',
          '</key>',
          '<',
          '&#9;',
          '<!--',
          '-->',
        ),
      ),
      (parts) => {
        try {
          parseOdb(`<odb>${parts.join('')}</odb>`)
        } catch (error) {
          expect(error).toMatchObject({ code: 'detector.bad_odb' })
        }
      },
    ),
  )
})
