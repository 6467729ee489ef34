-- ARGV 4: lease, then account and scope of each limit without which the node spends no more.
if redis.call('HGET', me, 'lease') ~= ARGV[4] then return redis.error_reply('SUPERSEDED node ' .. node .. ' was started again') end
for i = 5, #ARGV do close(ARGV[i]) end
return #ARGV - 4
