-- ARGV 4: lease, 5: sequence number of the call, then for each limit: name, bound, committed, beside, used, limit (-1: there is
-- none, and the node spends what it likes), time of expiry.
-- Answers for each: bound, share, what others have used, and a node that spends without this limit or -1; then the names of limits
-- that another node wants more of.
local lease, seq = ARGV[4], tonumber(ARGV[5])
local known = redis.call('HMGET', me, 'state', 'lease', 'declared', 'seq')
if known[1] == 'dead' then return redis.error_reply('DEAD node ' .. node .. ' was declared dead') end
if not known[2] then return redis.error_reply('UNDECLARED node ' .. node .. ' has not said what it holds') end
if known[2] ~= lease then return redis.error_reply('SUPERSEDED node ' .. node .. ' was started again') end
local epoch = generation()
if known[3] ~= epoch then return redis.error_reply('UNDECLARED node ' .. node .. ' has not said what it holds') end
-- A call that was overtaken on its way must not undo the later one.
if seq <= tonumber(known[4]) then return redis.error_reply('STALE a later call came first') end
local now = now_ms()
redis.call('HSET', me, 'seq', seq, 'seen', now)

local waiting = false
for _, other in ipairs(redis.call('SMEMBERS', prefix .. 'nodes')) do
  local state = redis.call('HMGET', prefix .. 'node:' .. other, 'state', 'declared')
  if state[1] == 'live' and state[2] ~= epoch then waiting = true end
end

local answer = {}
for i = 6, #ARGV, 7 do
  local name, bound, committed, beside = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local used_now, limit, expires = ARGV[i + 4], tonumber(ARGV[i + 5]), ARGV[i + 6]
  local kind = kind_of(name)
  local waits_for = '-1'
  if limit < 0 then
    open_up(kind)
  else
    close(kind)
    waits_for = redis.call('SRANDMEMBER', prefix .. 'open:' .. kind) or '-1'
  end
  local own, others, used_by_others = 0, 0, 0
  local used = used_of(name)
  local fields = redis.call('HGETALL', prefix .. 'limit:' .. name)
  for f = 1, #fields, 2 do
    local b, s = amounts(fields[f + 1])
    if fields[f] == node then
      own = b
    else
      others = others + b + s
      used_by_others = used_by_others + (used[fields[f]] or b + s)
    end
  end
  local share = limit - others
  local granted = bound
  if limit >= 0 and bound > own then
    local free = (waiting or waits_for ~= '-1') and own or share - beside
    -- What is committed is on record whatever others have: it may have been before there was a limit.
    granted = math.max(own, math.min(bound, math.max(free, committed)))
  end
  record(name, granted, beside, expires)
  record_used(name, used_now, expires)
  if granted < bound and not waiting and waits_for == '-1' then
    redis.call('HSET', prefix .. 'wanted', name, node .. ':' .. whole(now))
  end
  table.insert(answer, whole(granted))
  table.insert(answer, whole(share))
  table.insert(answer, whole(used_by_others))
  table.insert(answer, waits_for)
end

-- Who wants more says so again with each look: what is older than a few of them is over.
local wanted = redis.call('HGETALL', prefix .. 'wanted')
for f = 1, #wanted, 2 do
  local who, at = string.match(wanted[f + 1], '^(%d+):(%d+)$')
  if now - tonumber(at) > 3000 then
    redis.call('HDEL', prefix .. 'wanted', wanted[f])
  elseif who ~= node then
    table.insert(answer, wanted[f])
  end
end
return answer
