-- ARGV 4: identity of the node's data folder. Answers lease, longest first hold, then name and bound of all that is on record;
-- bound -1 behind account and scope alone: it spends on that without a limit.
local identity = ARGV[4]
local known = redis.call('HMGET', me, 'state', 'identity', 'hold')
if known[1] == 'dead' then
  return redis.error_reply('DEAD node ' .. node .. ' was declared dead and its leases were charged in full')
end
if known[2] and known[2] ~= identity then
  return redis.error_reply('TAKEN node ' .. node .. ' belongs to another data folder')
end
local epoch = generation()
local lease = redis.call('INCR', prefix .. 'lease')
redis.call('SADD', prefix .. 'nodes', node)
redis.call('HSET', me, 'state', 'live', 'identity', identity, 'lease', lease, 'declared', epoch, 'seq', 0, 'seen', now_ms())
local answer = { tostring(lease), known[3] or '0' }
for _, name in ipairs(redis.call('SMEMBERS', held)) do
  local text = redis.call('HGET', prefix .. 'limit:' .. name, node)
  if text then
    local bound = amounts(text)
    table.insert(answer, name)
    table.insert(answer, whole(bound))
  else
    redis.call('SREM', held, name)
  end
end
for _, kind in ipairs(redis.call('SMEMBERS', opened)) do
  table.insert(answer, kind)
  table.insert(answer, '-1')
end
return answer
