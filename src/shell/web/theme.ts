/** The look: calm greys, one blue, base 14 px, follows the system's light or dark. */
import { createTheme } from '@mantine/core'
import type { CSSVariablesResolver, MantineColorsTuple } from '@mantine/core'

const water: MantineColorsTuple = [
  '#ecf4fa',
  '#d6e5f2',
  '#acc9e4',
  '#85b4dc',
  '#69a3d3',
  '#4d8fc7',
  '#3a80bd',
  '#2a6ea8',
  '#1b629a',
  '#0a4a7a',
]

export const theme = createTheme({
  primaryColor: 'water',
  primaryShade: { light: 8, dark: 7 },
  colors: { water },
  fontFamily: 'Inter, "Segoe UI", system-ui, -apple-system, "Helvetica Neue", "DejaVu Sans", sans-serif',
  fontFamilyMonospace: '"JetBrains Mono", ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace',
  fontSizes: { xs: '12px', sm: '13px', md: '14px', lg: '16px', xl: '19px' },
  defaultRadius: 'sm',
  cursorType: 'pointer',
  respectReducedMotion: true,
})

/** Our own names for surfaces and signals, so that pages never name a colour. */
export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-body': '#f5f6f7',
    '--mantine-color-text': '#1d2126',
    '--mantine-color-dimmed': '#59616b',
    '--cy-panel': '#ffffff',
    '--cy-edge': '#dde0e4',
    '--cy-row': '#f0f2f4',
    '--cy-info': '#1b629a',
    '--cy-verified': '#1a6b3a',
    '--cy-warning': '#8a5200',
    '--cy-alarm': '#b3261e',
    '--cy-alarm-surface': '#fdf0ee',
    '--cy-info-surface': '#e8f1f8',
    '--cy-stale': '#667080',
  },
  dark: {
    '--mantine-color-body': '#191c1f',
    '--mantine-color-text': '#dde1e6',
    '--mantine-color-dimmed': '#9ba4ae',
    '--cy-panel': '#212529',
    '--cy-edge': '#363c43',
    '--cy-row': '#292e33',
    '--cy-info': '#85b4dc',
    '--cy-verified': '#73c795',
    '--cy-warning': '#f0b256',
    '--cy-alarm': '#ff8f85',
    '--cy-alarm-surface': '#3a2422',
    '--cy-info-surface': '#20303d',
    '--cy-stale': '#98a1ab',
  },
})
