-- Charges all counters, or none where one of them has no room. What is owed is charged in any case, and
-- what is brought is kept.
-- Answers how it went: 0; or 1, the place of the rate that has no room, and in how many microseconds it
-- may have some; or 2 where quotas have too few units here. Two zeros stand where nothing else is said.
-- For each counter there follow how much of what is owed has been charged; and of a quota the window of
-- its units and how many there were before the cost was charged.
--
-- For each key there are ten arguments. Of a quota (`q`), of which units are kept here that have been
-- charged to all: owed, cost, units needed, units brought, the second in which their window began, and
-- for how many more ms they may be used.
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

local all = {}
for i, key in ipairs(KEYS) do
  local base = (i - 1) * WIDTH
  local n = {}
  for j = 2, WIDTH do
    n[j - 1] = tonumber(ARGV[base + j])
  end
  local it = { key = key, kind = ARGV[base + 1], n = n, since = 0, units = 0, drawn = 0 }
  local stored = redis.call('GET', key) or ''
  if it.kind == 'q' then
    local since, units = string.match(stored, '^(%d+):(%d+)$')
    it.since, it.units = tonumber(since or '0'), tonumber(units or '0')
    -- Those of a window that has ended are worth nothing.
    if 0 < n[4] and it.since <= n[5] then
      it.units = n[4] + (it.since == n[5] and it.units or 0)
      it.since, it.life = n[5], n[6]
    end
    it.drawn = math.min(n[1], it.units)
    it.units = it.units - it.drawn
    it.is_new = it.life or 0 < it.drawn
  else
    local us, ticks = string.match(stored, '^(%d+):(%d+)$')
    it.amount, it.us, it.ticks = n[1], tonumber(us or '0'), tonumber(ticks or '0')
    if it.us < now then
      it.us, it.ticks = now, 0
    end
    it.us, it.ticks = later(it, 0, math.min(it.ticks, it.amount - 1))
    it.us, it.ticks = later(it, n[2], n[3])
    it.is_new = 0 < n[2] or 0 < n[3]
  end
  all[i] = it
end

local answer = { 0, 0, 0 }
for i, it in ipairs(all) do
  local n = it.n
  if it.kind == 'q' then
    if it.units < n[3] then
      answer[1] = 2
    end
  elseif 0 < n[6] or 0 < n[7] then
    local us, ticks = later({ us = it.us - now, ticks = it.ticks, amount = it.amount }, n[6], n[7])
    if n[8] < us or n[8] == us and n[9] < ticks then
      answer = { 1, i, us - n[8] + (n[9] < ticks and 1 or 0) }
      break
    end
  end
end

for _, it in ipairs(all) do
  local n = it.n
  local is_charged = answer[1] == 0
  for _, number in ipairs({ it.drawn, it.since, it.units }) do
    answer[#answer + 1] = number
  end
  if it.kind == 'q' then
    if is_charged then
      it.units = it.units - math.min(n[2], it.units)
    end
    if it.units == 0 then
      redis.call('DEL', it.key)
    elseif it.life then
      local text = string.format('%.0f:%.0f', it.since, it.units)
      redis.call('SET', it.key, text, 'PX', string.format('%.0f', it.life))
    elseif it.is_new or is_charged and 0 < n[2] then
      redis.call('SET', it.key, string.format('%.0f:%.0f', it.since, it.units), 'KEEPTTL')
    end
  elseif is_charged or it.is_new then
    local us, ticks = it.us, it.ticks
    if is_charged then
      us, ticks = later(it, n[4], n[5])
    end
    if now < us then
      local life = math.ceil((us - now) / 1000) + 1000
      local text = string.format('%.0f:%.0f', us, ticks)
      redis.call('SET', it.key, text, 'PX', string.format('%.0f', life))
    end
  end
end
return answer
