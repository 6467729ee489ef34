-- ARGV 4: identity, 5: lease, 6: longest first hold, then for each limit: name, bound, beside, time of expiry; a name of account and
-- scope alone says that the node spends on it without a limit.
-- What was lost is on record again; what is on record is never made less.
local identity, lease = ARGV[4], ARGV[5]
local known = redis.call('HMGET', me, 'state', 'identity', 'lease', 'hold')
if known[1] == 'dead' then return redis.error_reply('DEAD node ' .. node .. ' was declared dead') end
if known[2] and known[2] ~= identity or tonumber(known[3] or '0') > tonumber(lease) then
  return redis.error_reply('SUPERSEDED node ' .. node .. ' was started again')
end
local epoch = generation()
local highest = tonumber(redis.call('GET', prefix .. 'lease') or '0')
if highest < tonumber(lease) then redis.call('SET', prefix .. 'lease', lease) end
redis.call('SADD', prefix .. 'nodes', node)
local hold = math.max(tonumber(known[4] or '0'), tonumber(ARGV[6]))
redis.call('HSET', me, 'state', 'live', 'identity', identity, 'lease', lease, 'declared', epoch, 'hold', hold, 'seen', now_ms())
redis.call('HSETNX', me, 'seq', 0)
for i = 7, #ARGV, 4 do
  local name, bound, beside = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  if name == kind_of(name) then
    open_up(name)
  else
    local text = redis.call('HGET', prefix .. 'limit:' .. name, node)
    if text then
      local b, s = amounts(text)
      bound, beside = math.max(bound, b), math.max(beside, s)
    end
    record(name, bound, beside, ARGV[i + 3])
  end
end
return epoch
