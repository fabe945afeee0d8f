// The report's page in a browser: what is drawn stands where the axis says, on every width, light, dark and printed.
//
//   PACKAGES=node_modules PAGE=report.html FACTS=report.json node --test tests/browser/timeline.test.mjs
//
// PAGE and FACTS are `holdfast report --format html` and `--format json` of the same archive at the same time. PACKAGES is
// where `npm ci` put playwright-core. The browser is Debian's chromium; CHROMIUM names another. Without one all tests fail.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'

const { chromium } = createRequire(path.resolve(process.env.PACKAGES, 'x'))('playwright-core')
const page_url = pathToFileURL(path.resolve(process.env.PAGE)).href
const facts = JSON.parse(readFileSync(process.env.FACTS, 'utf8'))
const WIDTHS = [360, 768, 1440]
const LAYERS = ['raw', 'archived', 'retired', 'destroyed']

let browser

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'], // as root in a container
  })
})
after(() => browser?.close())

async function open(options = {}, media = {}) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, colorScheme: 'light', ...options })
  const requests = []
  page.on('request', (request) => requests.push(request.url()))
  await page.emulateMedia(media)
  await page.goto(page_url)
  return { page, requests }
}

const name = (table) => `${table.table.workspace}/${table.table.table}`

// What a browser made of each lane: which layers are drawn at the place that the axis' labels give a day. The labels alone
// say where a day is; what the page knows of its own scale is not asked.
function probe({ tables, layers }) {
  const ticks = [...document.querySelectorAll('.axis time')].filter((tick) => tick.getClientRects().length > 0)
  const day_number = (day) => Date.parse(`${day}T00:00:00Z`) / 86400000
  const place = (tick) => [day_number(tick.dateTime), tick.getBoundingClientRect().left]
  const [[first_day, first_x], [last_day, last_x]] = [place(ticks[0]), place(ticks.at(-1))]
  const width = (last_x - first_x) / (last_day - first_day)
  const x_of = (day) => first_x + (day_number(day) + 0.5 - first_day) * width
  const lanes = {}
  for (const { table, days } of tables) {
    const article = [...document.querySelectorAll('article')].find((one) => one.dataset.table === table)
    const svg = article?.querySelector('svg.lane')
    if (!svg) {
      continue
    }
    const to_lane = svg.getScreenCTM().inverse()
    const box = svg.getBoundingClientRect()
    const ground = box.top + svg.querySelector('.ground').getBBox().y
    const found = {}
    for (const day of days) {
      const at = (dy) => new DOMPoint(x_of(day), ground + dy).matrixTransform(to_lane)
      const drawn = layers.filter((layer) => {
        const shape = svg.querySelector(`:scope > path.${layer}`)
        return shape && (shape.isPointInFill(at(-1)) || shape.isPointInFill(at(1)))
      })
      const missing = svg.querySelector(':scope > path.missing')
      const bar = document.elementFromPoint(x_of(day), ground - 3)
      found[day] = { drawn, missing: missing?.isPointInStroke(at(0)) ?? false, title: bar?.querySelector?.('title')?.textContent }
    }
    const next = article.querySelector('i.next')?.getBoundingClientRect()
    const now = svg.querySelector('.now').getBoundingClientRect()
    lanes[table] = {
      role: svg.getAttribute('role'),
      label: svg.getAttribute('aria-label'),
      left: box.left,
      right: box.right,
      next: next && next.left + next.width / 2,
      now: now.left + now.width / 2,
      days: found,
      x: Object.fromEntries(days.map((day) => [day, x_of(day)])),
    }
  }
  return { lanes, width }
}

function all_days(table) {
  const days = []
  const last = Date.parse(`${facts.now.slice(0, 10)}T00:00:00Z`)
  for (let at = Date.parse(`${table.first_day}T00:00:00Z`); at <= last; at += 86400000) {
    days.push(new Date(at).toISOString().slice(0, 10))
  }
  return days
}

async function probed(page) {
  const tables = facts.tables.map((table) => ({ table: name(table), days: all_days(table) }))
  // Bars are looked for where they are: nothing may be scrolled away.
  await page.setViewportSize({ width: page.viewportSize().width, height: 6000 })
  return page.evaluate(probe, { tables, layers: LAYERS })
}

test('the facts have all that is to be drawn', () => {
  const some = (layer) => facts.tables.some((table) => table.days_in[layer] > 0)
  for (const layer of [...LAYERS, 'quarantined']) {
    assert.ok(some(layer), `no table has anything ${layer}: these tests would prove nothing`)
  }
  assert.ok(facts.tables.some((table) => table.missing_days.length > 0), 'no table has a hole')
})

for (const width of WIDTHS) {
  test(`at ${width} pixels each day has its layers where the axis says that day is`, async () => {
    const { page } = await open({ viewport: { width, height: 900 } })
    const { lanes, width: day_width } = await probed(page)
    assert.deepEqual(Object.keys(lanes).sort(), facts.tables.map(name).sort(), 'every table has a lane')
    for (const table of facts.tables) {
      const lane = lanes[name(table)]
      for (const [day, { drawn }] of Object.entries(lane.days)) {
        const expected = LAYERS.filter((layer) => table.days[day]?.[layer])
        assert.deepEqual(drawn, expected, `${name(table)} on ${day}`)
      }
      const today = facts.now.slice(0, 10)
      assert.ok(Math.abs(lane.now - lane.x[today]) < Math.max(1.5, day_width), `now is drawn at ${lane.now}`)
      if (table.next_expiry) {
        assert.ok(Math.abs(lane.next - lane.x[table.next_expiry.day]) < 1.5, `${name(table)}: what expires next is at its day`)
      }
    }
    await page.close()
  })

  test(`at ${width} pixels holes are empty and marked`, async () => {
    const { page } = await open({ viewport: { width, height: 900 } })
    const { lanes } = await probed(page)
    let holes = 0
    for (const table of facts.tables) {
      for (const { from, to } of table.missing_days) {
        for (const [day, { drawn, missing }] of Object.entries(lanes[name(table)].days)) {
          if (from <= day && day <= to) {
            holes += 1
            assert.deepEqual(drawn, [], `${name(table)} has no record on ${day}`)
            assert.ok(missing, `${name(table)}: the hole of ${day} is marked`)
          }
        }
      }
    }
    assert.ok(holes > 0)
    await page.close()
  })

  test(`at ${width} pixels nothing sticks out`, async () => {
    for (const colorScheme of ['light', 'dark']) {
      const { page } = await open({ viewport: { width, height: 900 }, colorScheme })
      const wide = await page.evaluate(() => ({
        page: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        elements: [...document.querySelectorAll('main *:not(svg *)')]
          .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5)
          .map((one) => one.outerHTML.slice(0, 90)),
      }))
      assert.deepEqual(wide, { page: 0, elements: [] })
      await page.close()
    }
  })
}

test('a bar says its day and its rows', async () => {
  const { page } = await open()
  const { lanes } = await probed(page)
  const table = facts.tables.find((one) => one.days_in.archived > 0)
  const [day, stratum] = Object.entries(table.days).find(([, one]) => one.archived)
  const title = lanes[name(table)].days[day].title
  assert.match(title, new RegExp(`^${day}; .*archived ${stratum.archived.rows} rows?`))
  await page.close()
})

test('who cannot see the drawing is told it, and the figures stand beside it', async () => {
  const { page } = await open()
  const { lanes } = await probed(page)
  const rows = await page.locator('#layers tbody tr').evaluateAll((all) => all.map((row) => row.innerText.replaceAll(' ', ' ')))
  for (const [at, table] of facts.tables.entries()) {
    const lane = lanes[name(table)]
    assert.equal(lane.role, 'img')
    for (const layer of Object.keys(table.strata)) {
      const rows_of = `${table.strata[layer].rows.toLocaleString('en')} row`
      if (table.strata[layer].rows > 0) {
        assert.ok(lane.label.includes(rows_of), `${lane.label} says ${layer} ${rows_of}`)
        assert.ok(rows[at].includes(rows_of), `${rows[at]} says ${layer} ${rows_of}`)
      }
    }
  }
  await page.close()
})

test('nothing is asked of anywhere else, and no script runs', async () => {
  const { page, requests } = await open()
  await page.waitForLoadState('networkidle')
  assert.deepEqual(requests, [page_url])
  assert.equal(await page.locator('script, link, img, iframe').count(), 0)
  await page.close()
})

// Luminance contrast as WCAG defines it, of two `rgb(…)`.
function contrast(one, other) {
  const luminance = (color) => {
    const [r, g, b] = color.match(/[\d.]+/g).map((value) => {
      const part = Number(value) / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

async function colors(media, options) {
  const { page } = await open(options, media)
  const found = await page.evaluate(() => {
    const style = (selector, key) => getComputedStyle(document.querySelector(selector))[key]
    return {
      paper: style('html', 'backgroundColor'),
      text: { body: style('body', 'color'), soft: style('.how', 'color'), label: style('.axis time', 'color') },
      marks: {
        archived: style('.legend .archived', 'fill'),
        retired: style('.legend .retired', 'fill'),
        raw: style('.legend .raw', 'stroke'),
        destroyed: style('.legend .destroyed', 'stroke'),
        quarantined: style('.legend .quarantined', 'stroke'),
        missing: style('.legend .missing', 'stroke'),
      },
    }
  })
  await page.close()
  return found
}

test('dark is another paper and other colours, and both can be read', async () => {
  const [light, dark] = [await colors({}, { colorScheme: 'light' }), await colors({}, { colorScheme: 'dark' })]
  assert.notEqual(light.paper, dark.paper)
  for (const [mark, color] of Object.entries(light.marks)) {
    assert.notEqual(color, dark.marks[mark], mark)
  }
  for (const { paper, text, marks } of [light, dark]) {
    Object.entries(text).forEach(([what, color]) => assert.ok(contrast(color, paper) >= 4.5, `${what} ${color} on ${paper}`))
    Object.entries(marks).forEach(([what, color]) => assert.ok(contrast(color, paper) >= 3, `${what} ${color} on ${paper}`))
  }
})

test('print hides nothing, and is light', async () => {
  const text = (page) => page.evaluate(() => {
    const shown = [...document.querySelectorAll('h1, h2, h3, p, li, th, td, dt, dd')]
    return shown.filter((one) => one.checkVisibility() && one.getBoundingClientRect().width > 2).map((one) => one.innerText.trim())
  })
  const screen = await open({ viewport: { width: 1440, height: 900 } })
  const paper = await open({ viewport: { width: 700, height: 900 }, colorScheme: 'dark' }, { media: 'print' })
  assert.deepEqual(await text(paper.page), await text(screen.page))
  const lanes = paper.page.locator('svg.lane')
  assert.equal(await lanes.count(), facts.tables.length)
  for (const lane of await lanes.all()) {
    const box = await lane.boundingBox()
    assert.ok(box.width > 300 && box.height > 40 && box.x + box.width <= 700, JSON.stringify(box))
  }
  const printed = await colors({ media: 'print' }, { colorScheme: 'dark' })
  const light = await colors({}, { colorScheme: 'light' })
  assert.deepEqual(printed.marks, light.marks)
  assert.deepEqual(printed.text.body, light.text.body)
  const pdf = await paper.page.pdf({ preferCSSPageSize: true, printBackground: true })
  assert.equal(pdf.subarray(0, 5).toString(), '%PDF-')
  await Promise.all([screen.page.close(), paper.page.close()])
})
