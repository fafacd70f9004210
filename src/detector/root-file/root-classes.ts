/**
 * What classes look like that our own files hold without describing them, in the versions we write (ROOT 6): enough to
 * read back trees of numbers. Descriptions in a file always go before these.
 */
import type { RootElement } from './root-object.ts'

const basic = { int: 3, float: 5, double: 8, unsigned: 13, short: 2, long: 16, bool: 18 } as const
const pointerArray = 40

const base = (name: string): RootElement => ({
  kind: 'TStreamerBase',
  name,
  type: 0,
  typeName: '',
  arrayLength: 0,
  countName: '',
})
const member = (name: string, type: number, typeName = '', countName = ''): RootElement => ({
  kind: '',
  name,
  type,
  typeName,
  arrayLength: 0,
  countName,
})
const members = (names: string, type: number): RootElement[] => names.split(' ').map((name) => member(name, type))
const list = (name: string): RootElement => member(name, 61, 'TObjArray')

const leaf = (className: string, type: number): [string, [number, RootElement[]]] => [
  className,
  [1, [base('TLeaf'), member('fMinimum', type), member('fMaximum', type)]],
]

/** Class, version, elements. */
export const classesWeWrite: readonly [string, [version: number, elements: RootElement[]]][] = [
  ['TNamed', [1, [base('TObject'), member('fName', 65), member('fTitle', 65)]]],
  ['TAttLine', [2, members('fLineColor fLineStyle fLineWidth', basic.short)]],
  ['TAttFill', [2, members('fFillColor fFillStyle', basic.short)]],
  ['TAttMarker', [2, [...members('fMarkerColor fMarkerStyle', basic.short), member('fMarkerSize', basic.float)]]],
  [
    'TTree',
    [
      20,
      [
        ...['TNamed', 'TAttLine', 'TAttFill', 'TAttMarker'].map(base),
        ...members('fEntries fTotBytes fZipBytes fSavedBytes fFlushedBytes', basic.long),
        member('fWeight', basic.double),
        ...members('fTimerInterval fScanField fUpdate fDefaultEntryOffsetLen fNClusterRange', basic.int),
        ...members('fMaxEntries fMaxEntryLoop fMaxVirtualSize fAutoSave fAutoFlush fEstimate', basic.long),
        member('fClusterRangeEnd', pointerArray + basic.long, '', 'fNClusterRange'),
        member('fClusterSize', pointerArray + basic.long, '', 'fNClusterRange'),
        member('fIOFeatures', 62, 'ROOT::TIOFeatures'),
        list('fBranches'),
        list('fLeaves'),
      ],
    ],
  ],
  [
    'TBranch',
    [
      13,
      [
        ...['TNamed', 'TAttFill'].map(base),
        ...members('fCompress fBasketSize fEntryOffsetLen fWriteBasket', basic.int),
        member('fEntryNumber', basic.long),
        member('fIOFeatures', 62, 'ROOT::TIOFeatures'),
        member('fOffset', basic.int),
        member('fMaxBaskets', basic.unsigned),
        member('fSplitLevel', basic.int),
        ...members('fEntries fFirstEntry fTotBytes fZipBytes', basic.long),
        list('fBranches'),
        list('fLeaves'),
        list('fBaskets'),
        member('fBasketBytes', pointerArray + basic.int, '', 'fMaxBaskets'),
        member('fBasketEntry', pointerArray + basic.long, '', 'fMaxBaskets'),
        member('fBasketSeek', pointerArray + basic.long, '', 'fMaxBaskets'),
        member('fFileName', 65),
      ],
    ],
  ],
  [
    'TLeaf',
    [
      2,
      [
        base('TNamed'),
        ...members('fLen fLenType fOffset', basic.int),
        ...members('fIsRange fIsUnsigned', basic.bool),
        member('fLeafCount', 64, 'TLeaf*'),
      ],
    ],
  ],
  leaf('TLeafF', basic.float),
  leaf('TLeafD', basic.double),
  leaf('TLeafI', basic.int),
  leaf('TLeafL', basic.long),
  leaf('TLeafO', basic.bool),
]
