"""What Valkey decides for the call budgets, each in one step, so that no two workers can spend the same call."""

from __future__ import annotations

from typing import Final

#: bucket, the account's beginning, last waits | rate, burst, capacity, class, reserve, waited, waits kept, floors …
#: Returns 0 when the call is granted, else the seconds until it may be worth asking again.
TAKE: Final = """
local burst, cap, class = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local t = redis.call('TIME')
local now = t[1] + t[2] / 1e6
local b = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'closed', 'rate', 'slowed')
local rate = tonumber(b[4]) or tonumber(ARGV[1])
local tokens, at = tonumber(b[1]), tonumber(b[2]) or now
if not tokens then
  -- Nobody knows this bucket: it has been filling since the account is known. Its key lives longer than filling takes.
  local since = redis.call('GET', KEYS[2])
  if not since then
    since = now
    redis.call('SET', KEYS[2], string.format('%.6f', now))
  end
  tokens, at = burst - cap, tonumber(since)
end
local passed = math.max(0, now - at)
tokens = math.min(cap, tokens + passed * rate)

-- A class that was sent away earns its next call by its floor; once earned, all others leave it one. A class above
-- that was sent away is left one anyway, until it has had time to come back.
local needed, own, floor, is_below = 1 + tonumber(ARGV[5]), 0, 0, true
for i = 8, #ARGV, 2 do
  local c, share, earned, is_waiting = ARGV[i], tonumber(ARGV[i + 1]), 0, false
  local d = redis.call('HMGET', KEYS[1], 'earned:' .. c, 'until:' .. c)
  if tonumber(d[2]) and tonumber(d[2]) > now then
    is_waiting = true
    earned = math.min(1, (tonumber(d[1]) or 0) + math.min(passed, burst / rate) * rate * share)
    redis.call('HSET', KEYS[1], 'earned:' .. c, string.format('%.6f', earned))
  elseif d[2] then
    redis.call('HDEL', KEYS[1], 'earned:' .. c, 'until:' .. c)
  end
  if c == class then
    own, floor, is_below = earned, share, false
  elseif earned >= 1 or (is_below and is_waiting) then
    needed = needed + 1
  end
end
if own >= 1 then needed = 1 end

local wait = math.max(0, (tonumber(b[3]) or 0) - now)
if wait == 0 then
  if tokens >= needed then
    tokens = tokens - 1
    redis.call('HDEL', KEYS[1], 'earned:' .. class, 'until:' .. class)
    redis.call('LPUSH', KEYS[3], class .. ' ' .. ARGV[6])
    redis.call('LTRIM', KEYS[3], 0, ARGV[7] - 1)
    redis.call('EXPIRE', KEYS[3], 3600)
    if b[5] then
      -- Slowed down after a refusal: each call that goes well gives a little of the declared rate back.
      rate = math.min(tonumber(b[5]), rate * 1.02)
      redis.call('HSET', KEYS[1], 'rate', rate)
      if rate >= tonumber(b[5]) then redis.call('HDEL', KEYS[1], 'slowed') end
    end
  else
    wait = (needed - tokens) / rate
    local grace = math.min(wait / 2, 2)
    if floor > 0 then
      wait = math.min(wait, math.max((1 - own) / (rate * floor), (1 - tokens) / rate, 0.001))
      grace = math.min(wait / 2, 30) + 5
    end
    redis.call('HSET', KEYS[1], 'until:' .. class, string.format('%.6f', now + wait + grace))
  end
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', math.max(now, at)))
-- A bucket that is closed lives longer than that, however often it is asked meanwhile.
local silent = math.max(0, (tonumber(b[3]) or 0) - now)
redis.call('PEXPIRE', KEYS[1], math.ceil((silent + burst / rate + 60) * 1000))
return string.format('%.6f', wait)
"""

#: bucket | the rate the marketplace named, the key's life [ms]. While slowed down it is what we may come back to.
LEARN: Final = """
local named, rate = tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'rate'))
if redis.call('HEXISTS', KEYS[1], 'slowed') == 1 and rate and rate < named then
  redis.call('HSET', KEYS[1], 'slowed', ARGV[1])
else
  redis.call('HSET', KEYS[1], 'rate', ARGV[1])
  redis.call('HDEL', KEYS[1], 'slowed')
end
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
"""

#: bucket | declared rate, burst, seconds (below 0: one refill). Returns the seconds, more of them
#: where an earlier word asks for a longer silence. The rate goes down by a tenth.
CLOSE: Final = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1e6
local declared, burst, seconds = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local b = redis.call('HMGET', KEYS[1], 'rate', 'closed')
local rate = tonumber(b[1]) or declared
if seconds < 0 then seconds = 1 / rate end
if (tonumber(b[2]) or 0) <= now then  -- several calls refused at once are one refusal
  redis.call('HSETNX', KEYS[1], 'slowed', rate)
  rate = math.max(rate * 0.9, math.min(declared, rate) / 10)
end
seconds = math.max(seconds, (tonumber(b[2]) or 0) - now)
local opens = string.format('%.6f', now + seconds)
redis.call('HSET', KEYS[1], 'closed', opens, 'tokens', 0, 'at', opens, 'rate', rate)
redis.call('PEXPIRE', KEYS[1], math.ceil((seconds + burst / rate + 60) * 1000))
return string.format('%.6f', seconds)
"""
