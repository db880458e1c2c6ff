-- Charges all counters, or none where one of them has no room. What is owed is charged in any case.
-- Answers 0; or 1, the place of the counter that has no room, and in how many microseconds it may
-- have some (0 where the caller knows); or 2 and the places of quotas of which nothing is known here.
--
-- For each key there are ten arguments. Of a quota (`q`): what it allows, owed, cost, room needed, what
-- the caller alone has charged, what to begin with (-1: not known), and for how long to keep it, in ms.
-- Of a rate (`r`): its units in a period, and for what is owed, the cost, the room needed and the burst
-- each the time in which it comes back: microseconds, and ticks, of which the rate has as many to a
-- microsecond as units to a period.
local WIDTH = 10
-- Sums stay below 2^53, up to which numbers here are exact.
local LAST = 8000000000000000

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function later(it, us, ticks)
  local at, rest = it.us + us, it.ticks + ticks
  if it.amount <= rest then
    at, rest = at + 1, rest - it.amount
  end
  return math.min(at, LAST), rest
end

local all, missing = {}, { 2 }
for i, key in ipairs(KEYS) do
  local base = (i - 1) * WIDTH
  local n = {}
  for j = 2, WIDTH do
    n[j - 1] = tonumber(ARGV[base + j])
  end
  local it = { key = key, kind = ARGV[base + 1], n = n, amount = n[1], is_new = 0 < n[2] }
  local stored = redis.call('GET', key)
  if it.kind == 'q' then
    local units = stored and tonumber(string.match(stored, '^%d+$'))
    if not units then
      if n[6] < 0 then
        missing[#missing + 1] = i
      end
      units, it.is_new = n[6], true
    end
    it.units = math.max(units, n[5]) + n[2]
  else
    local us, ticks = string.match(stored or '', '^(%d+):(%d+)$')
    it.us, it.ticks = tonumber(us or '0'), tonumber(ticks or '0')
    if it.us < now then
      it.us, it.ticks = now, 0
    end
    it.us, it.ticks = later(it, 0, math.min(it.ticks, it.amount - 1))
    it.us, it.ticks = later(it, n[2], n[3])
    it.is_new = it.is_new or 0 < n[3]
  end
  all[i] = it
end
if 1 < #missing then
  return missing
end

local short
for i, it in ipairs(all) do
  local n = it.n
  if it.kind == 'q' then
    if 0 < n[4] and it.amount < it.units + n[4] then
      short = { 1, i, 0 }
      break
    end
  elseif 0 < n[6] or 0 < n[7] then
    local us, ticks = later({ us = it.us - now, ticks = it.ticks, amount = it.amount }, n[6], n[7])
    if n[8] < us or n[8] == us and n[9] < ticks then
      short = { 1, i, us - n[8] + (n[9] < ticks and 1 or 0) }
      break
    end
  end
end

for _, it in ipairs(all) do
  local n = it.n
  if not short or it.is_new then
    if it.kind == 'q' then
      local units = short and it.units or it.units + n[3]
      redis.call('SET', it.key, string.format('%.0f', units), 'PX', string.format('%.0f', n[7]))
    else
      local us, ticks = it.us, it.ticks
      if not short then
        us, ticks = later(it, n[4], n[5])
      end
      if now < us then
        local life = math.ceil((us - now) / 1000) + 1000
        local text = string.format('%.0f:%.0f', us, ticks)
        redis.call('SET', it.key, text, 'PX', string.format('%.0f', life))
      end
    end
  end
end
return short or { 0 }
