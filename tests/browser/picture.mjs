// Makes docs/images/report.png, the README's picture: the head of a report's page and its strata.
//
//   tests/browser/archive.py target/release/holdfast /tmp/pictured 800 10
//   target/release/holdfast --config /tmp/pictured/holdfast.toml report --format html --output /tmp/report.html
//   (cd tests/browser && npm ci)
//   PACKAGES=tests/browser/node_modules PAGE=/tmp/report.html node tests/browser/picture.mjs docs/images/report.png

import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const { chromium } = createRequire(path.resolve(process.env.PACKAGES, 'x'))('playwright-core')
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
const page = await browser.newPage({ viewport: { width: 1240, height: 1000 }, colorScheme: 'light' })
await page.goto(pathToFileURL(path.resolve(process.env.PAGE)).href)
const strata = await page.locator('.strata').boundingBox()
await page.screenshot({ path: process.argv[2], clip: { x: 0, y: 0, width: 1240, height: strata.y + strata.height + 20 }, fullPage: true })
await browser.close()
